package agent

import (
	"context"
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/install"
)

// mirrors reads a payload from the first of several places that gives it, and goes on at the next one where one fails. It is for
// one goroutine.
type mirrors struct {
	sources []install.Source
	at      int
}

// Open implements install.Source.
func (m *mirrors) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	err := error(fault.New(fault.Invalid, "there is no place to read the payload from"))
	for i := range m.sources {
		body, nextErr := m.sources[m.at].Open(ctx, offset)
		if nextErr == nil {
			return &mirrored{body, ctx, m}, nil
		}
		if i == 0 || passing(nextErr) && !passing(err) {
			err = nextErr
		}
		if ctx.Err() != nil {
			break
		}
		m.next()
	}
	return nil, err
}

func (m *mirrors) next() { m.at = (m.at + 1) % len(m.sources) }

// passing reports whether another attempt may succeed by itself. Of the errors of several mirrors such a one counts: as long as one
// of them is only out of reach, nothing is known against what is offered.
func passing(err error) bool { return fault.Is(err, fault.Unavailable) }

// mirrored is a body whose end before its time is held against its mirror.
type mirrored struct {
	io.ReadCloser
	ctx context.Context
	m   *mirrors
}

func (b *mirrored) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.ctx.Err() == nil {
		b.m.next()
	}
	return n, err
}
