package delta

import (
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/entropy"
)

// version is the first byte of every delta.
const version = 1

// bufferSizeBytes is how much of old and new is held at a time.
const bufferSizeBytes = 64 << 10

// Apply writes to w the sizeBytes bytes that data makes of the old image. Errors of kind Corrupt are those of the data; errors of old
// and w are given back as they are. Whether old was the right image only a digest of the output can tell.
func Apply(w io.Writer, old io.ReaderAt, oldSizeBytes int64, data []byte, sizeBytes int64) error {
	if len(data) < 1 || data[0] != version {
		return fault.New(fault.Corrupt, "delta does not begin with version %d", version)
	}
	walk := &walk{c: entropy.NewReader(data[1:]), old: old, out: w}
	return walk.run(&Plan{OldSizeBytes: oldSizeBytes, SizeBytes: sizeBytes})
}

// Write is the inverse of Apply: it tells the output, which it reads from new, by the plan.
func Write(plan *Plan, old io.ReaderAt, new io.ReaderAt) ([]byte, error) {
	data, _, err := WriteCosts(plan, old, new)
	return data, err
}

// WriteCosts does what Write does, and says how many bytes of the data each region of the plan took, to within the few that the coder
// holds back at its end.
func WriteCosts(plan *Plan, old io.ReaderAt, new io.ReaderAt) (data []byte, costs []int64, err error) {
	walk := &walk{c: entropy.NewWriter(), old: old, in: new}
	if err := walk.run(plan); err != nil {
		return nil, nil, err
	}
	data = append([]byte{version}, walk.c.Finish()...)
	costs = walk.ends
	for i := len(costs) - 1; i > 0; i-- {
		costs[i] -= costs[i-1]
	}
	return data, costs, nil
}

// walk goes through an output once, writing it or reading it.
type walk struct {
	c   *entropy.Coder
	old io.ReaderAt
	out io.Writer   // of a reader of data
	in  io.ReaderAt // of a writer of data
	pos int64       // in the output

	ends []int64 // of a writer: how much was written at the end of each region

	residue *residue
	buffers [2][]byte
}

func (w *walk) run(plan *Plan) error {
	size := entropy.NewNumber()
	for _, want := range []int64{plan.OldSizeBytes, plan.SizeBytes} {
		if got := int64(size.Code(w.c, uint64(want))); got != want || got > maxSizeBytes {
			return fault.New(fault.Corrupt, "delta is for %d bytes, want %d", got, want)
		}
	}
	w.residue = &residue{c: w.c}
	w.buffers = [2][]byte{make([]byte, bufferSizeBytes), make([]byte, bufferSizeBytes)}
	plans := newPlanCoder(w.c, plan.OldSizeBytes)
	for i := 0; w.pos < plan.SizeBytes; i++ {
		var told *Region
		if !w.c.Reading() {
			told = &plan.Regions[i]
		}
		region, err := plans.region(told, plan.SizeBytes-w.pos)
		if err != nil {
			return err
		}
		if err := w.region(region); err != nil {
			return err
		}
		if told != nil {
			w.ends = append(w.ends, int64(w.c.SizeBytes()))
		}
		if w.c.Overrun() {
			break
		}
	}
	return w.c.Err()
}

func (w *walk) region(r *Region) error {
	if r.Frame != nil {
		return w.frame(r)
	}
	s := newScene(r, w.pos)
	for _, piece := range r.Pieces {
		for done := int64(0); done < piece.SizeBytes; {
			n := min(piece.SizeBytes-done, bufferSizeBytes)
			if err := w.part(r, s, piece.From, done, n); err != nil {
				return err
			}
			done += n
		}
	}
	return nil
}

// part is n bytes of a piece, done bytes after its beginning.
func (w *walk) part(r *Region, s *scene, from, done, n int64) error {
	old, now := w.buffers[0][:n], w.buffers[1][:n]
	if from != New {
		if _, err := w.old.ReadAt(old, from+done); err != nil {
			return err
		}
	}
	if w.in != nil {
		if _, err := w.in.ReadAt(now, w.pos); err != nil {
			return err
		}
	}
	switch {
	case r.Exact:
		copy(now, old)
	case from == New:
		w.residue.fresh(now)
	default:
		w.residue.copied(s, old, now, from+done, w.pos)
	}
	if w.c.Overrun() {
		return w.c.Err()
	}
	w.pos += n
	if w.out == nil {
		return nil
	}
	_, err := w.out.Write(now)
	return err
}
