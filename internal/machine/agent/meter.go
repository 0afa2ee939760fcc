package agent

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/wire/release"
)

// meter counts a download and the installation that it feeds.
type meter struct {
	active     atomic.Bool
	total      atomic.Int64           // bytes of the payload
	saved      atomic.Int64           // bytes that the full payload has more
	from       atomic.Pointer[string] // the release that a delta is from, nil for the full payload
	downloaded atomic.Int64           // of this payload, in this process
	written    atomic.Int64           // bytes of root and UKI that are written and verified
	toWrite    atomic.Int64
	everything atomic.Int64 // downloaded since the process began
	started    atomic.Int64 // unix nanoseconds
}

func (m *meter) begin(rel *release.Release, delta *release.Delta) {
	m.total.Store(rel.Payload.SizeBytes)
	m.saved.Store(0)
	m.from.Store(nil)
	if delta != nil {
		m.total.Store(delta.SizeBytes)
		m.saved.Store(rel.Payload.SizeBytes - delta.SizeBytes)
		m.from.Store(&delta.From)
	}
	m.downloaded.Store(0)
	m.written.Store(0)
	m.toWrite.Store(0)
	m.started.Store(time.Now().UnixNano())
	m.active.Store(true)
}

func (m *meter) end() { m.active.Store(false) }

// source counts what is read from src.
func (m *meter) source(src install.Source) install.Source { return counted{src, m} }

type counted struct {
	install.Source
	m *meter
}

func (c counted) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	body, err := c.Source.Open(ctx, offset)
	if err != nil {
		return nil, err
	}
	return countedBody{body, c.m}, nil
}

type countedBody struct {
	io.ReadCloser
	m *meter
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.downloaded.Add(int64(n))
	b.m.everything.Add(int64(n))
	return n, err
}

// progress is the callback of an installation: it logs each tenth.
func (a *Agent) progress() func(done, total int64) {
	last := int64(0)
	return func(done, total int64) {
		a.meter.written.Store(done)
		a.meter.toWrite.Store(total)
		if tenth := done * 10 / max(total, 1); tenth > last {
			last = tenth
			a.Log.Info("installing", "percent", tenth*10, "downloaded", cli.Bytes(a.meter.downloaded.Load()))
		}
	}
}
