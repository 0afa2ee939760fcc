package postgres

import (
	"context"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// calls are all that a store does, each as a function of its context alone.
func calls(s *Store) map[string]func(context.Context) error {
	limit, ask := store.Limit{App: "a", Group: "stable", AtOnce: 5}, []store.Ask{{Machine: "m", Version: "1"}}
	return map[string]func(context.Context) error{
		"Load": func(ctx context.Context) error { return s.Load(ctx, func(store.Change) error { return nil }) },
		"Apply": func(ctx context.Context) error {
			return s.Apply(ctx, []store.Change{store.PutMachine{Machine: machine("m")}})
		},
		"Grant":     func(ctx context.Context) error { return errorOf(s.Grant(ctx, limit, ask, noon)) },
		"Allowance": func(ctx context.Context) error { return errorOf(s.Allowance(ctx, limit, noon)) },
		"Events":    func(ctx context.Context) error { return errorOf(s.Events(ctx, "a", "m", 1)) },
		"Machines":  func(ctx context.Context) error { return errorOf(s.Machines(ctx, "a", []string{"m"})) },
		"Activity":  func(ctx context.Context) error { return errorOf(s.Activity(ctx, 1)) },
		"Samples":   func(ctx context.Context) error { return errorOf(s.Samples(ctx, "a", "stable", time.Minute, noon)) },
		"Prune":     func(ctx context.Context) error { return errorOf(s.Prune(ctx, store.Cutoffs{Events: noon})) },
	}
}

func TestEveryCallIsUnavailableWithoutTheServerAndWorksAgainWithIt(t *testing.T) {
	server := pgtest.Start(t)
	s := open(t, server.URL("postgres"))
	for _, end := range []func(){server.Stop, server.Kill} {
		for name, call := range calls(s) {
			if err := call(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		end()
		for name, call := range calls(s) {
			if err := call(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		server.Restart(t)
		for _, call := range calls(s) {
			eventually(t, func() error { return call(t.Context()) })
		}
	}
	if n := value[int](t, s, "SELECT count(*) FROM machine"); n != 1 {
		t.Errorf("%d machines were kept", n)
	}
}

// TestServerThatHangsIsUnavailable has a server that takes connections and answers none.
func TestServerThatHangsIsUnavailable(t *testing.T) {
	server := pgtest.Start(t)
	s := open(t, server.URL("postgres"))
	thaw := server.Freeze()
	for name, call := range calls(s) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := call(ctx); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: got %v", name, err)
		}
		cancel()
	}
	thaw()
	for _, call := range calls(s) {
		eventually(t, func() error { return call(t.Context()) })
	}
}

// TestAcknowledgedIsThereAfterACrash kills the server under writing and counts.
func TestAcknowledgedIsThereAfterACrash(t *testing.T) {
	server := pgtest.Start(t)
	s := open(t, server.URL("postgres"))
	acknowledged := make(chan int)
	go func() {
		n := 0
		for s.Apply(t.Context(), []store.Change{store.AddEvent{Event: store.Event{App: "a", Machine: "m", At: noon}}}) == nil {
			n++
		}
		acknowledged <- n
	}()
	eventually(t, func() error {
		events, err := s.Events(t.Context(), "a", "m", 20)
		if err == nil && len(events) < 20 {
			return fault.New(fault.Unavailable, "only %d events so far", len(events))
		}
		return err
	})
	server.Kill()
	want := <-acknowledged
	server.Restart(t)
	eventually(t, func() error { return errorOf(s.Activity(t.Context(), 1)) })
	if got := value[int](t, s, "SELECT count(*) FROM event"); got < want {
		t.Errorf("%d events are there, and %d were acknowledged", got, want)
	}
}
