package entropy

import (
	"testing"

	"pgregory.net/rapid"
)

// What was written is read again, bit for bit, whatever the probabilities, and the data are used up.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type step struct {
			p   uint16
			bit int
		}
		var steps []step
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			steps = append(steps, step{rapid.Uint16().Draw(t, "p"), rapid.IntRange(0, 1).Draw(t, "bit")})
		}
		numbers := rapid.SliceOf(rapid.Uint64Range(0, 1<<63-1)).Draw(t, "numbers")
		w, n := NewWriter(), NewNumber()
		for _, s := range steps {
			w.Bit(s.p, s.bit)
		}
		for _, v := range numbers {
			n.Code(w, v)
		}
		r, n := NewReader(w.Finish()), NewNumber()
		for i, s := range steps {
			if got := r.Bit(s.p, 0); got != s.bit {
				t.Fatalf("bit %d of %d is %d, want %d", i, len(steps), got, s.bit)
			}
		}
		for i, v := range numbers {
			if got := n.Code(r, 0); got != v {
				t.Fatalf("number %d is %d, want %d", i, got, v)
			}
		}
		if err := r.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// A bit that is almost always the same costs almost nothing, and a mixer finds the one opinion that knows.
func TestLearning(t *testing.T) {
	w, sure := NewWriter(), Prob{}
	for range 100_000 {
		sure.Code(w, 1, MaxLimit)
	}
	if size := len(w.Finish()); size > 60 {
		t.Errorf("100,000 equal bits take %d bytes", size)
	}
	w = NewWriter()
	m, wrong, right := NewMixer(2, 1, 6), Prob{}, [2]Prob{}
	x := uint32(1)
	for range 100_000 {
		x = x*1664525 + 1013904223
		bit := int(x >> 31)
		m.Add(&wrong)
		m.Add(&right[bit])
		m.Code(w, 0, bit)
		wrong.Learn(bit, MaxLimit)
		right[bit].Learn(bit, MaxLimit)
	}
	if size := len(w.Finish()); size > 600 {
		t.Errorf("100,000 bits that one opinion knows take %d bytes", size)
	}
}

// Squash and Stretch are each other's inverse as far as their steps allow, and rise.
func TestSquashIsTheInverseOfStretch(t *testing.T) {
	for x := int32(-2046); x <= 2047; x++ {
		if Squash(x) < Squash(x-1) {
			t.Fatalf("Squash falls at %d", x)
		}
	}
	for x := int32(-1000); x <= 1000; x += 10 {
		if back := Stretch(Squash(x)); back < x-24 || back > x+24 {
			t.Errorf("Stretch(Squash(%d)) = %d", x, back)
		}
	}
}

// Reading ends whatever the data are, and says when they are too few or too many.
func FuzzReader(f *testing.F) {
	f.Add([]byte{}, uint16(1000))
	f.Add([]byte("evergreen"), uint16(60000))
	f.Fuzz(func(t *testing.T, data []byte, p uint16) {
		c, n := NewReader(data), NewNumber()
		for range 100 {
			c.Bit(p, 0)
			n.Code(c, 0)
		}
		if c.Overrun() && c.Err() == nil {
			t.Error("the reader is beyond its data and does not say so")
		}
	})
}
