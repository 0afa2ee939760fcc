package install

import (
	"io"

	"conifer.dev/conifer/internal/fault"
)

// A window is a part of an old target that is read at once. A delta asks for many small pieces that lie close together, mostly
// ascending but from several places in turn; a disk gives a whole window in about the time of one of them.
const (
	windowBytes = 128 << 10
	maxWindows  = 16
)

// windows reads an old target window by window, and keeps those that were used last.
type windows struct {
	name      string
	from      io.ReaderAt
	sizeBytes int64
	recent    []window // the last used first
}

type window struct {
	number int64
	bytes  []byte
}

func newWindows(name string, from io.ReaderAt, sizeBytes int64) *windows {
	return &windows{name: name, from: from, sizeBytes: sizeBytes}
}

// ReadAt implements io.ReaderAt, for one goroutine at a time. What cannot be read is Corrupt, like what reads wrong.
func (r *windows) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		at := offset + int64(done)
		if at >= r.sizeBytes {
			return done, io.EOF
		}
		w, err := r.window(at / windowBytes)
		if err != nil {
			return done, fault.New(fault.Corrupt, "read the old %s at byte %d: %w", r.name, at, err)
		}
		done += copy(p[done:], w.bytes[at%windowBytes:])
	}
	return done, nil
}

// window gives a window, and puts it first.
func (r *windows) window(number int64) (window, error) {
	at := 0
	for at < len(r.recent) && r.recent[at].number != number {
		at++
	}
	if at == len(r.recent) {
		if at < maxWindows {
			r.recent = append(r.recent, window{bytes: make([]byte, windowBytes)})
		} else {
			at-- // takes the place of the one that was not used for longest
		}
		if err := r.fill(&r.recent[at], number); err != nil {
			return window{}, err
		}
	}
	found := r.recent[at]
	copy(r.recent[1:at+1], r.recent[:at])
	r.recent[0] = found
	return found, nil
}

func (r *windows) fill(w *window, number int64) error {
	start := number * windowBytes
	w.number = -1 // while it holds nothing
	w.bytes = w.bytes[:min(windowBytes, r.sizeBytes-start)]
	n, err := r.from.ReadAt(w.bytes, start)
	switch {
	case n == len(w.bytes):
		w.number = number
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}
