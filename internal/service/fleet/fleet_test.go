package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/sqlite"
	"conifer.dev/conifer/internal/wire/omaha"
)

// fickle is a real store that can be made to fail, and counts.
type fickle struct {
	*sqlite.Store
	broken  atomic.Bool
	applied atomic.Int64
	clock   *clock // of the fleet
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

func (s *fickle) Apply(ctx context.Context, changes []store.Change) error {
	if s.broken.Load() {
		return fault.Wrap(fault.Unavailable, errors.New("disk is gone"))
	}
	s.applied.Add(1)
	return s.Store.Apply(ctx, changes)
}

func (s *fickle) Downloads(ctx context.Context, app, group string) ([]store.Downloads, error) {
	if s.broken.Load() {
		return nil, fault.Wrap(fault.Unavailable, errors.New("disk is gone"))
	}
	return s.Store.Downloads(ctx, app, group)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, path string) *fickle {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return &fickle{Store: db}
}

// openFleet makes a fleet with application os, release 2.0 for amd64, and group and channel main that offer it.
func openFleet(t *testing.T) (*Fleet, *fickle) {
	t.Helper()
	s := openStore(t, filepath.Join(t.TempDir(), "conifer.db"))
	clock := &clock{at: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)}
	f, err := Open(t.Context(), s, slog.New(slog.DiscardHandler), clock.now, Defaults())
	must(t, err)
	t.Cleanup(f.Close)
	s.clock = clock
	ctx := t.Context()
	must(t, f.AddApp(ctx, "test", store.App{ID: "os", Name: "os"}))
	must(t, f.AddRelease(ctx, "test", sample("2.0")))
	must(t, f.SetChannel(ctx, "test", "os", "main", "amd64", "2.0"))
	_, err = f.SetGroup(ctx, "test", "main", admin.GroupPatch{App: "os"})
	must(t, err)
	return f, s
}

func sample(version string) store.Release {
	return store.Release{
		App: "os", Arch: "amd64", Version: version, URL: "os/" + version + "/", File: "payload", SizeBytes: 1, SHA256: strings.Repeat("0f", 32),
	}
}

func contact(id string, events ...omaha.Event) Contact {
	return Contact{App: "os", Machine: id, Group: "main", Version: "1.0", Arch: "amd64", Check: len(events) == 0, Events: events}
}

var (
	began   = omaha.Event{Type: omaha.DownloadStarted, Result: omaha.Success}
	retreat = omaha.Event{Type: omaha.UpdateComplete, Result: omaha.Failed, ErrorCode: omaha.RolledBack}
)

func TestAMachineThatWasSeenIsWrittenLater(t *testing.T) {
	f, s := openFleet(t)
	before := s.applied.Load()
	answer, err := f.Contact(t.Context(), contact("m1"))
	must(t, err)
	if answer.Release == nil || s.applied.Load() != before {
		t.Errorf("a poll waited for %d commits; answer %+v", s.applied.Load()-before, answer)
	}
	f.writeBatch(true)
	m, err := load(t.Context(), s)
	must(t, err)
	_, i, err := m.machine("os", "m1")
	must(t, err)
	if got := m.export(i); got.State != rollout.Offered || got.Target != "2.0" {
		t.Errorf("stored is %+v", got)
	}
}

func TestWithoutADatabasePollsAreAnsweredAndEventsRefused(t *testing.T) {
	f, s := openFleet(t)
	_, err := f.Contact(t.Context(), contact("m1"))
	must(t, err)
	f.writeBatch(true)
	s.broken.Store(true)
	for range 2 { // the first is refused by the database, the second before it
		if _, err := f.Contact(t.Context(), contact("m1", retreat)); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("an event that cannot be stored was acknowledged: %v", err)
		}
	}
	if err := f.AddApp(t.Context(), "test", store.App{ID: "b", Name: "b"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Contact(t.Context(), contact("m1")); err != nil || f.Ready() {
		t.Errorf("poll: %v, ready %v", err, f.Ready())
	}
	s.broken.Store(false)
	f.writeBatch(true)
	if !f.Ready() {
		t.Fatal("the fleet did not recover")
	}
	// What the memory took before it knew of the failure is written now: memory and store are one again.
	m, err := load(t.Context(), s)
	must(t, err)
	r, err := f.Release("os", "amd64", "2.0")
	must(t, err)
	if got := m.releaseStatus(m.of("os"), releaseKey{"amd64", "2.0"}); !got.Halted || !r.Halted || len(got.Barred) != 1 {
		t.Errorf("stored is %+v", got)
	}
	if _, err := f.Contact(t.Context(), contact("m1", retreat)); err != nil {
		t.Errorf("got %v", err)
	}
}

// An offer is written late, so a crash can lose it; the event that follows is about that release all the same.
func TestAnEventAfterALostOffer(t *testing.T) {
	f, _ := openFleet(t)
	_, err := f.Contact(t.Context(), contact("m1", retreat))
	must(t, err)
	r, err := f.Release("os", "amd64", "2.0")
	must(t, err)
	if !r.Halted || len(r.Barred) != 1 {
		t.Errorf("got %+v", r)
	}
}

// A machine may name the release; one that does not exist halts nothing.
func TestAnEventAboutAReleaseThatIsNotKnown(t *testing.T) {
	f, _ := openFleet(t)
	stray := retreat
	stray.NextVersion = "7.0"
	_, err := f.Contact(t.Context(), contact("m1", stray))
	must(t, err)
	e, err := f.Explain("os", "m1")
	must(t, err)
	if len(e.Barred) != 0 || e.Machine.State != rollout.RolledBack || e.Decision.Version != "2.0" {
		t.Errorf("got %+v", e)
	}
}

func TestManyReportAtOnce(t *testing.T) {
	f, s := openFleet(t)
	const machines = 200
	before := s.applied.Load()
	var all sync.WaitGroup
	for i := range machines {
		all.Go(func() {
			if _, err := f.Contact(t.Context(), contact(fmt.Sprint("m", i), began)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	m, err := load(t.Context(), s)
	must(t, err)
	if got := len(m.machines.index); got != machines {
		t.Errorf("%d machines are stored", got)
	}
	if commits := s.applied.Load() - before; commits > machines {
		t.Errorf("%d commits for %d reports", commits, machines)
	}
}

func TestCatalogRefuses(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	with := func(change func(*store.Release)) func() error {
		return func() error {
			r := sample("3.0")
			change(&r)
			return f.AddRelease(ctx, "test", r)
		}
	}
	percent, negative, none := "101", "-1", "none"
	cases := []struct {
		name string
		do   func() error
		kind fault.Kind
	}{
		{"name taken", func() error { return f.AddApp(ctx, "test", store.App{ID: "other", Name: "os"}) }, fault.Conflict},
		{"name with a slash", func() error { return f.AddApp(ctx, "test", store.App{ID: "a/b", Name: "x"}) }, fault.Invalid},
		{"unknown application", with(func(r *store.Release) { r.App = "none" }), fault.NotFound},
		{"other bytes", with(func(r *store.Release) { r.Version, r.SizeBytes = "2.0", 2 }), fault.Conflict},
		{"version", with(func(r *store.Release) { r.Version = "next" }), fault.Invalid},
		{"short digest", with(func(r *store.Release) { r.SHA256 = "ab" }), fault.Invalid},
		{"no size", with(func(r *store.Release) { r.SizeBytes = 0 }), fault.Invalid},
		{"climbing file", with(func(r *store.Release) { r.File = "../x" }), fault.Invalid},
		{"extra file", with(func(r *store.Release) { r.Extra = []store.File{{Name: "x"}} }), fault.Invalid},
		{"climbing folder", with(func(r *store.Release) { r.URL = "../x/" }), fault.Invalid},
		{"rooted folder", with(func(r *store.Release) { r.URL = "/x/" }), fault.Invalid},
		{"no folder", with(func(r *store.Release) { r.URL = "" }), fault.Invalid},
		{"another scheme", with(func(r *store.Release) { r.URL = "ftp://x/" }), fault.Invalid},
		{"query", with(func(r *store.Release) { r.URL = "http://x/?a" }), fault.Invalid},
		{"host without scheme", with(func(r *store.Release) { r.URL = "//x/y" }), fault.Invalid},
		{"forget what is pointed at", func() error { return f.ForgetRelease(ctx, "test", "os", "amd64", "2.0") }, fault.Conflict},
		{"halt without a reason", func() error { return f.Halt(ctx, "test", "os", "amd64", "2.0", " ") }, fault.Invalid},
		{"resume what runs", func() error { return f.Resume(ctx, "test", "os", "amd64", "2.0") }, fault.Conflict},
		{"halt for another architecture", func() error { return f.Halt(ctx, "test", "os", "arm64", "2.0", "x") }, fault.NotFound},
		{"percent", func() error {
			_, err := f.SetGroup(ctx, "test", "main", admin.GroupPatch{App: "os", Percent: &percent})
			return err
		}, fault.Invalid},
		{"budget", func() error {
			_, err := f.SetGroup(ctx, "test", "main", admin.GroupPatch{App: "os", ErrorBudget: &negative})
			return err
		}, fault.Invalid},
		{"channel", func() error {
			_, err := f.SetGroup(ctx, "test", "main", admin.GroupPatch{App: "os", Channel: &none})
			return err
		}, fault.NotFound},
		{"unknown machine", func() error { _, err := f.Retry(ctx, "test", "os", "m9", ""); return err }, fault.NotFound},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.do(); !fault.Is(err, c.kind) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
		})
	}
}

func TestReleasesComeAndGo(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	for _, v := range []string{"10.0", "9.0"} {
		must(t, f.AddRelease(ctx, "test", sample(v)))
		must(t, f.AddRelease(ctx, "test", sample(v)))
	}
	must(t, f.Halt(ctx, "ada", "os", "amd64", "9.0", "too slow"))
	list := func() string {
		all, err := f.Releases("os")
		must(t, err)
		var text []string
		for _, r := range all {
			text = append(text, fmt.Sprint(r.Version, r.Channels, r.HaltReason))
		}
		return strings.Join(text, ", ")
	}
	if got := list(); got != "10.0[], 9.0[]too slow, 2.0[main]" {
		t.Error(got)
	}
	must(t, f.ForgetRelease(ctx, "test", "os", "amd64", "9.0"))
	if got := list(); got != "10.0[], 2.0[main]" {
		t.Error(got)
	}
	// The same version may come again, and is not halted by what was.
	must(t, f.AddRelease(ctx, "test", sample("9.0")))
	if got := list(); got != "10.0[], 9.0[], 2.0[main]" {
		t.Error(got)
	}
}

func TestMachinesAreFiltered(t *testing.T) {
	f, _ := openFleet(t)
	for _, id := range []string{"b", "a", "c"} {
		_, err := f.Contact(t.Context(), contact(id))
		must(t, err)
	}
	_, err := f.Contact(t.Context(), contact("c", began))
	must(t, err)
	for _, c := range []struct {
		filter Filter
		want   string
	}{{Filter{}, "abc"}, {Filter{Limit: 2}, "ab"}, {Filter{State: rollout.Downloading}, "c"}, {Filter{Group: "none"}, ""}} {
		machines, err := f.Machines("os", c.filter)
		must(t, err)
		got := ""
		for _, m := range machines {
			got += m.ID
		}
		if got != c.want {
			t.Errorf("%+v: got %q", c.filter, got)
		}
	}
}
