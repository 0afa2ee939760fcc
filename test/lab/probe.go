package lab

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// probeEvery is the resolution of an outage.
const probeEvery = 500 * time.Millisecond

// Outage is a time in which nothing answered.
type Outage struct {
	From, To time.Time // To is zero while it lasts
}

// Probe asks one URL again and again from outside and keeps the times in which it did not answer 200.
type Probe struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	up      bool // has answered at least once
	outages []Outage
}

// Watch probes a path on a guest's port until Stop. Silence before the first answer is not an outage.
func (m *Machine) Watch(port int, path string) *Probe {
	ctx, stop := context.WithCancel(context.Background())
	p := &Probe{
		url:    fmt.Sprintf("http://127.0.0.1:%d%s", m.Port(port), path),
		client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		stop:   stop, done: make(chan struct{}),
	}
	go p.loop(ctx)
	return p
}

// Stop ends the probing; the outages stay readable.
func (p *Probe) Stop() {
	p.stop()
	<-p.done
}

func (p *Probe) loop(ctx context.Context) {
	defer close(p.done)
	for {
		asked := time.Now()
		p.record(p.ask(ctx), asked, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeEvery):
		}
	}
}

func (p *Probe) ask(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return false
	}
	answer, err := p.client.Do(req)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// record counts an outage from when the first unanswered question was asked to when an answer came.
func (p *Probe) record(ok bool, asked, answered time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.outages) - 1
	open := last >= 0 && p.outages[last].To.IsZero()
	switch {
	case ok && open:
		p.outages[last].To = answered
	case ok:
		p.up = true
	case p.up && !open:
		p.outages = append(p.outages, Outage{From: asked})
	}
}

// Answers reports whether the last question was answered.
func (p *Probe) Answers() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.outages) - 1
	return p.up && (last < 0 || !p.outages[last].To.IsZero())
}

// Outages returns what was seen since the given time; one that still lasts ends now.
func (p *Probe) Outages(since time.Time) []Outage {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seen []Outage
	for _, o := range p.outages {
		if o.To.IsZero() {
			o.To = time.Now()
		}
		if o.To.After(since) {
			seen = append(seen, o)
		}
	}
	return seen
}

// Total adds up outages.
func Total(outages []Outage) time.Duration {
	var sum time.Duration
	for _, o := range outages {
		sum += o.To.Sub(o.From)
	}
	return sum
}
