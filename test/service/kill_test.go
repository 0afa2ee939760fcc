package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/store"
)

// history is what a database remembers of machines.
type history interface {
	Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error)
	Close() error
}

const (
	reporters = 16  // connections that report events
	reporting = 160 // machines that report them
	askers    = 4   // connections that ask for places
)

// places is how many there are. Twice as many machines want one, and a few of them each moment, so that places are given in most lives
// of the service.
func places() int { return few(200, 3000) }

const askEvery = 10 * time.Millisecond

// witness is what the machines know: what they sent, what was acknowledged, and who was offered an update.
type witness struct {
	target      load.Target
	sent, acked [reporting]atomic.Int64
	offers      sync.Map // numbers of the machines that were offered an update
}

// report lets every machine of one reporter tell its update over and over, each event when the one before was answered.
func (w *witness) report(ctx context.Context, reporter int) {
	c := &caller{target: w.target}
	defer c.close()
	fleet := load.Flatcar("stable", server.NewVersion)
	var events []*load.Message
	for _, attributes := range []string{
		`eventtype="13" eventresult="1"`, `eventtype="14" eventresult="1"`, `eventtype="3" eventresult="1"`,
		`eventtype="3" eventresult="2" previousversion="` + server.OldVersion + `"`,
	} {
		events = append(events, fleet.Event(w.target, attributes))
	}
	for n := 0; ctx.Err() == nil; n++ {
		machine := reporter + n%(reporting/reporters)*reporters
		w.sent[machine].Add(1)
		answer, err := c.ask(events[n/(reporting/reporters)%len(events)], machine)
		if err == nil && answer.EventTaken() {
			w.acked[machine].Add(1)
		}
	}
}

// want lets every machine of one asker ask for a place.
func (w *witness) want(ctx context.Context, target load.Target, asker int) {
	c := &caller{target: target}
	defer c.close()
	poll := limited.Poll(target, "")
	for n := 0; ctx.Err() == nil; n++ {
		machine := (asker + n*askers) % (2 * places())
		if answer, err := c.ask(poll, machine); err == nil && answer.Kind() == load.Offer {
			w.offers.Store(machine, true)
		}
		time.Sleep(askEvery)
	}
}

// limited are machines of a group in which few may begin an update.
var limited = func() load.Fleet {
	f := load.Flatcar("limited", server.OldVersion)
	f.Seed = 2
	return f
}()

func addLimited() string {
	return fmt.Sprintf("group set limited --app flatcar --channel stable --max-per-period %d/1h", places())
}

// work lets all machines talk until the function that it returns is called.
func (w *witness) work(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for i := range reporters {
		all.Go(func() { w.report(ctx, i) })
	}
	for i := range askers {
		all.Go(func() { w.want(ctx, w.target, i) })
	}
	return func() { cancel(); all.Wait() }
}

func (w *witness) total(of *[reporting]atomic.Int64) (sum int64) {
	for i := range of {
		sum += of[i].Load()
	}
	return sum
}

// An event that was acknowledged is in the history whenever the service is killed, and the places under a limit are never given twice.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	for name, d := range databases() {
		t.Run(name, func(t *testing.T) {
			config := server.Config{Data: t.TempDir()}
			open := d(t, &config)
			s := flatcar(t, config)
			operate(t, s, addLimited())
			w := &witness{target: s.Target()}
			kills := few(5, 50)
			s = w.killOften(t, s, kills)
			w.checkPlaces(t, s, kills)
			must(t, s.Stop())
			w.checkEvents(t, open)
		})
	}
}

// killOften kills the service at random moments of its life, and goes on when it has acknowledged something in each.
func (w *witness) killOften(t *testing.T, s *server.Server, times int) *server.Server {
	stop := w.work(t.Context())
	defer stop()
	for range times {
		before := w.total(&w.acked)
		eventually(t, "an event is acknowledged", func() bool { return w.total(&w.acked) > before })
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		s.Kill()
		s = again(t, s)
	}
	return s
}

// checkPlaces asks once more for everyone: who holds a place has it again, and nobody else gets one that another was offered. Of the places
// that were being given when the service was killed, as many as there were askers, the offers may have died with it.
func (w *witness) checkPlaces(t *testing.T, s *server.Server, kills int) {
	t.Helper()
	for machine := range offered(t, s, limited, 2*places()) {
		w.offers.Store(machine, true)
	}
	got := 0
	w.offers.Range(func(any, any) bool { got++; return true })
	if got > places() || got < places()-kills*askers {
		t.Errorf("%d machines were offered an update, and there were places for %d", got, places())
	}
	t.Logf("%d machines were offered an update, and there were places for %d", got, places())
}

// checkEvents compares the history of every machine with what it was told. What was not acknowledged may be there or not.
func (w *witness) checkEvents(t *testing.T, open func() history) {
	h := open()
	defer h.Close()
	fleet := load.Flatcar("stable", server.NewVersion)
	var kept, wrong int
	for i := range w.sent {
		acked, sent := w.acked[i].Load(), w.sent[i].Load()
		events, err := h.Events(t.Context(), server.Flatcar, fleet.MachineID(i), 1<<20)
		must(t, err)
		kept += len(events)
		if n := int64(len(events)); n < acked || n > sent {
			if wrong++; wrong < 5 {
				t.Errorf("machine %d sent %d events, %d were acknowledged, and the history has %d", i, sent, acked, n)
			}
		}
	}
	t.Logf("%d events sent, %d acknowledged, %d in the history; wrong for %d machines", w.total(&w.sent), w.total(&w.acked), kept, wrong)
}
