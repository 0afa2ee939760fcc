package install

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// body is what a source gives: pieces, then an error; after it reading blocks until it is cancelled.
type body struct {
	io.Reader
	closed chan struct{}
}

func (b *body) Close() error {
	close(b.closed)
	return nil
}

// What is read ahead comes as it was sent, with the error after all of it, in whatever pieces it is sent and taken.
func TestReadAheadIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 997).Draw(t, "bytes"), rapid.IntRange(0, 5000).Draw(t, "times"))
		cause := rapid.SampledFrom([]error{io.EOF, errors.New("cut")}).Draw(t, "cause")
		var from io.Reader = io.MultiReader(bytes.NewReader(sent), iotest.ErrReader(cause))
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			from = iotest.HalfReader(from)
		case 1:
			from = iotest.DataErrReader(from)
		}
		b := &body{from, make(chan struct{})}
		a := readAhead(b, func() {})
		var got []byte
		buf := make([]byte, rapid.IntRange(1, 3<<20).Draw(t, "taken at once"))
		var err error
		for err == nil {
			var n int
			n, err = a.Read(buf)
			got = append(got, buf[:n]...)
		}
		if err != cause || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes came of %d, then %v", len(got), len(sent), err)
		}
		if a.ring != nil {
			t.Fatal("memory is held that nothing needs any more")
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		<-b.closed
	})
}

// endless counts what is read from it, up to a cancellation.
type endless struct {
	ctx  context.Context
	sent chan int
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case e.sent <- len(p):
		return len(p), nil
	case <-e.ctx.Done():
		return 0, e.ctx.Err()
	}
}

func TestReadAheadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	from := &endless{ctx, make(chan int)}
	b := &body{from, make(chan struct{})}
	a := readAhead(b, cancel)
	for ahead := 0; ahead < aheadBytes; {
		ahead += <-from.sent // nobody has asked for anything
	}
	if _, err := io.ReadFull(a, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if n := <-from.sent; n != 10 {
		t.Errorf("%d bytes are read where there is room for 10", n)
	}
	if _, err := io.ReadFull(a, make([]byte, aheadBytes)); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil { // in the midst of a read
		t.Fatal(err)
	}
	<-b.closed
}
