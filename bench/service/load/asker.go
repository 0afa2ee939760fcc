package load

import (
	"context"
	"time"
)

// asker is one connection of a run.
type asker struct {
	*run
	conn  *Conn
	ready map[string]*Message
}

// message returns one that was made before, because making it costs more than sending it.
func (a *asker) message(name string, build func() *Message) *Message {
	m := a.ready[name]
	if m == nil {
		if a.ready == nil {
			a.ready = map[string]*Message{}
		}
		m = build()
		a.ready[name] = m
	}
	return m
}

// ask sends requests until ctx ends or there are none left.
func (a *asker) ask(ctx context.Context) {
	defer func() {
		if a.conn != nil {
			a.conn.Close()
		}
	}()
	for ctx.Err() == nil {
		machine, due, ok := a.turn()
		if !ok || !sleepUntil(ctx, due) {
			return
		}
		switch {
		case a.Mode == Flow:
			a.flow(ctx, machine, due)
		case a.Mode == Poll && a.isEvent(machine):
			a.send(a.downloading(), machine, due)
		default:
			a.send(a.poll(), machine, due)
		}
	}
}

// isEvent spreads the events over the requests.
func (a *asker) isEvent(machine int) bool {
	return a.EventShare > 0 && scramble(uint64(machine)^uint64(a.next.Load())<<32)%10_000 < uint64(a.EventShare*10_000)
}

func (a *asker) poll() *Message {
	return a.message("poll", func() *Message { return a.Fleet.Poll(a.Target, a.Previous) })
}

func (a *asker) downloading() *Message {
	return a.message("13/1", func() *Message { return a.Fleet.Event(a.Target, `eventtype="13" eventresult="1"`) })
}

func (a *asker) success(kind string) *Message {
	return a.message(kind, func() *Message { return a.Fleet.Event(a.Target, `eventtype="`+kind+`" eventresult="1"`) })
}

// flow is a whole update of one machine. Its first request is due when the loop says, the others as soon as they can.
func (a *asker) flow(ctx context.Context, machine int, due time.Time) {
	updated := a.Fleet
	updated.Version = a.NewVersion
	steps := []*Message{
		a.poll(), a.downloading(), a.success("14"), a.success("3"),
		a.message("ping", func() *Message { return a.Fleet.Ping(a.Target) }),
		a.message("updated", func() *Message { return updated.Poll(a.Target, a.Fleet.Version) }),
	}
	for _, step := range steps {
		if ctx.Err() != nil || !a.send(step, machine, due) {
			return
		}
		due = time.Time{}
	}
}

// send sends one request and counts its answer. A connection that failed is dialled again, not too often.
func (a *asker) send(m *Message, machine int, due time.Time) bool {
	var err error
	if a.conn == nil {
		if a.conn, err = Dial(a.Target); err != nil {
			a.conn = nil
			a.failed()
			return false
		}
	}
	sent := time.Now()
	answer, err := a.conn.Do(m.From(a.Offset + machine))
	if err != nil {
		a.conn.Close()
		a.conn = nil
		a.failed()
		return false
	}
	took, late := time.Since(sent)-a.conn.unread, since(due, sent)-a.conn.unread
	if a.Fresh {
		a.conn.Close()
	}
	kind := answer.Kind()
	if kind == Offer {
		a.sawOffer(machine)
	}
	if a.measuring.Load() {
		a.tally.add(kind, took, late)
	}
	return true
}

func (a *asker) failed() {
	if a.measuring.Load() {
		a.tally.errors.Add(1)
	}
	time.Sleep(10 * time.Millisecond)
}

// since is the time from when a request was due, which in an open loop counts the waiting for a free connection too.
func since(due, sent time.Time) time.Duration {
	if due.IsZero() {
		due = sent
	}
	return time.Since(due)
}

func sleepUntil(ctx context.Context, due time.Time) bool {
	if due.IsZero() {
		return true
	}
	if d := time.Until(due); d > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(d):
		}
	}
	return true
}
