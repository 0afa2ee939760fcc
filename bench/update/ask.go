package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"conifer.dev/conifer/test/lab"
)

// answer is what came of one request. Lateness counts from when it was due, whatever those before it did (an open loop), so that
// a machine that stands still is late for all that would have been asked meanwhile.
type answer struct {
	due  time.Time
	late time.Duration
	err  error
}

// askTimeout is when an answer is given up, and counts as that late.
const askTimeout = 30 * time.Second

// asker asks the machine's application at a steady rate.
type asker struct {
	url    string
	client *http.Client
	stop   context.CancelFunc
	ended  sync.WaitGroup

	mu      sync.Mutex
	answers []answer
}

func startAsking(m *lab.Machine, rate float64) *asker {
	ctx, stop := context.WithCancel(context.Background())
	a := &asker{
		url: fmt.Sprintf("http://127.0.0.1:%d/work", m.Port(lab.WebPort)), stop: stop,
		client: &http.Client{Timeout: askTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	a.ended.Go(func() { a.loop(ctx, time.Duration(float64(time.Second)/rate)) })
	return a
}

// Stop asks no more, and waits for the answers that are still to come.
func (a *asker) Stop() {
	a.stop()
	a.ended.Wait()
}

func (a *asker) loop(ctx context.Context, every time.Duration) {
	for due := time.Now(); ; due = due.Add(every) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		a.ended.Go(func() {
			err := a.ask()
			a.mu.Lock()
			defer a.mu.Unlock()
			a.answers = append(a.answers, answer{due, time.Since(due), err})
		})
	}
}

func (a *asker) ask() error {
	got, err := a.client.Get(a.url)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("the application answers %s", got.Status)
	}
	_, err = io.Copy(io.Discard, got.Body)
	return err
}

// latency is how late the answers were in all phases of a name.
type latency struct {
	Name               string
	Asked, Failed      int
	P50, P95, P99, Max time.Duration
}

// latencies sorts the answers by the phases in which they were due. It is asked after Stop.
func (a *asker) latencies(phases []phase) (all []latency) {
	for i, p := range phases {
		if slices.ContainsFunc(phases[:i], func(before phase) bool { return before.Name == p.Name }) {
			continue
		}
		within := slices.DeleteFunc(slices.Clone(a.answers), func(one answer) bool {
			return !slices.ContainsFunc(phases, func(q phase) bool { return q.Name == p.Name && !one.due.Before(q.From) && one.due.Before(q.To) })
		})
		all = append(all, latencyOf(p.Name, within))
	}
	return all
}

func latencyOf(name string, answers []answer) latency {
	l := latency{Name: name, Asked: len(answers)}
	late := make([]time.Duration, 0, len(answers))
	for _, one := range answers {
		late = append(late, one.late)
		if one.err != nil {
			l.Failed++
		}
	}
	slices.Sort(late)
	l.P50, l.P95, l.P99, l.Max = quantile(late, .5), quantile(late, .95), quantile(late, .99), quantile(late, 1)
	return l
}

// quantile of what is sorted: the smallest that a share of all is not larger than.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	n := int(share*float64(len(sorted)) + .999999)
	return sorted[min(max(n, 1), len(sorted))-1]
}
