package install

import (
	"context"
	"io"
	"sync"
)

// aheadBytes is how far a payload is read before it is asked for: as much as the data of an operation of a delta has, or more.
const aheadBytes = 2 << 20

// ahead reads a body before it is asked for, so that the line is in use while what came before is applied.
type ahead struct {
	body   io.ReadCloser
	cancel context.CancelFunc // ends a read of the body
	ended  chan struct{}

	mu         sync.Mutex
	turn       *sync.Cond
	ring       []byte // nil when nothing will come any more
	from, held int    // where in the ring what is held begins, and how much it is
	err        error  // after what is held
	closed     bool
}

func readAhead(body io.ReadCloser, cancel context.CancelFunc) *ahead {
	a := &ahead{body: body, cancel: cancel, ended: make(chan struct{}), ring: make([]byte, aheadBytes)}
	a.turn = sync.NewCond(&a.mu)
	go a.run()
	return a
}

// run reads until an error, or until it is closed.
func (a *ahead) run() {
	defer close(a.ended)
	for room := a.room(0); room != nil; {
		n, err := a.body.Read(room)
		room = a.room(n)
		if err != nil {
			a.end(err)
			return
		}
	}
}

// room adds n bytes to what is held, and gives the part of the ring for those after them when there is one. It is nil when no more are wanted.
func (a *ahead) room(n int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held += n
	a.turn.Broadcast()
	for a.held == len(a.ring) && !a.closed {
		a.turn.Wait()
	}
	if a.closed {
		return nil
	}
	to := (a.from + a.held) % len(a.ring)
	return a.ring[to:min(len(a.ring), to+len(a.ring)-a.held)]
}

func (a *ahead) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
	a.forget()
	a.turn.Broadcast()
}

// forget lets go of the ring when nothing is in it and nothing will be: what is applied needs the memory.
func (a *ahead) forget() {
	if a.held == 0 && a.err != nil {
		a.ring, a.from = nil, 0
	}
}

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.held == 0 && a.err == nil {
		a.turn.Wait()
	}
	n := copy(p, a.ring[a.from:min(len(a.ring), a.from+a.held)])
	if n == 0 {
		return 0, a.err
	}
	a.from, a.held = (a.from+n)%len(a.ring), a.held-n
	a.forget()
	a.turn.Broadcast()
	return n, nil
}

// Close ends a read that is under way, and closes the body.
func (a *ahead) Close() error {
	a.mu.Lock()
	a.closed = true
	a.turn.Broadcast()
	a.mu.Unlock()
	a.cancel()
	<-a.ended
	return a.body.Close()
}
