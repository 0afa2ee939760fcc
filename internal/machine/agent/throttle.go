package agent

import (
	"context"
	"io"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/install"
)

// throttle keeps downloads below a rate. The zero value does not.
type throttle struct {
	bytesPerSecond int64

	mu  sync.Mutex
	due time.Time // when what was read may have been there
}

const (
	throttleChunkBytes = 32 << 10
	// throttleSlack is how far a download may be behind its rate and still catch up.
	throttleSlack = 100 * time.Millisecond
)

// source slows what is read from src.
func (t *throttle) source(src install.Source) install.Source {
	if t.bytesPerSecond <= 0 {
		return src
	}
	return throttled{src, t}
}

type throttled struct {
	install.Source
	t *throttle
}

func (s throttled) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	body, err := s.Source.Open(ctx, offset)
	if err != nil {
		return nil, err
	}
	return &throttledBody{body, ctx, s.t}, nil
}

type throttledBody struct {
	io.ReadCloser
	ctx context.Context
	t   *throttle
}

// Read reads no more at once than is allowed in a second, so that a slow download is not taken for one that stands still.
func (b *throttledBody) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), throttleChunkBytes, b.t.bytesPerSecond)]
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		return n, err
	}
	select {
	case <-time.After(b.t.pause(n)):
		return n, nil
	case <-b.ctx.Done():
		return n, fault.New(fault.Canceled, "download: %w", context.Cause(b.ctx))
	}
}

// pause is how long n bytes that were read take at the rate, beyond the time that they took.
func (t *throttle) pause(n int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if earliest := now.Add(-throttleSlack); t.due.Before(earliest) {
		t.due = earliest
	}
	t.due = t.due.Add(time.Duration(float64(n) / float64(t.bytesPerSecond) * float64(time.Second)))
	return t.due.Sub(now)
}
