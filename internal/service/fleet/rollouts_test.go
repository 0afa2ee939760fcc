package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// setGroup changes group main.
func setGroup(t *testing.T, f *Fleet, change func(*admin.GroupPatch)) store.Group {
	t.Helper()
	p := admin.GroupPatch{App: "os"}
	change(&p)
	g, err := f.SetGroup(t.Context(), "test", "main", p)
	must(t, err)
	return g
}

// release adds a release and points channel main at it.
func point(t *testing.T, f *Fleet, version string) {
	t.Helper()
	must(t, f.AddRelease(t.Context(), "test", sample(version)))
	must(t, f.SetChannel(t.Context(), "test", "os", "main", "amd64", version))
}

// offered asks for an update, and gives the version or the rule that refused it.
func offered(t *testing.T, f *Fleet, c Contact) string {
	t.Helper()
	answer, err := f.Contact(t.Context(), c)
	must(t, err)
	if answer.Release != nil {
		return answer.Release.Version
	}
	return answer.Rule
}

func runs(id, version string) Contact {
	c := contact(id)
	c.Version = version
	return c
}

func TestARecordIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(record{}); size != 72 {
		t.Errorf("a machine takes %d bytes; ten million are to fit in a gigabyte with their index", size)
	}
}

func TestIdsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := newTable()
		ids := rapid.SliceOfDistinct(rapid.OneOf(
			rapid.StringMatching(`[0-9a-f]{32}`), rapid.StringMatching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`),
			rapid.StringMatching(`[0-9A-F]{32}`), rapid.String(),
		), rapid.ID).Draw(t, "ids")
		places := map[string]uint32{}
		for _, id := range ids {
			places[id] = table.add(3, id)
		}
		for id, i := range places {
			if found, ok := table.find(3, id); !ok || found != i || table.id(i) != id {
				t.Fatalf("%q is %q at %d, found at %d (%v)", id, table.id(i), i, found, ok)
			}
			if _, ok := table.find(4, id); ok {
				t.Fatalf("%q is a machine of another application", id)
			}
		}
	})
}

// While 3.0 is on its way, a machine that it has not come to is offered 2.0, the last good one.
func TestSeveralReleasesAreLive(t *testing.T) {
	f, s := openFleet(t)
	s.clock.add(time.Hour)
	slow := "100/10d"
	setGroup(t, f, func(p *admin.GroupPatch) { p.Percent = &slow })
	// 2.0 was at 100 % until a moment ago; now it goes by the new plan too, because it is the group's own.
	if got := offered(t, f, runs("m1", "1.0")); got == "2.0" {
		t.Log("m1 is among the first")
	}
	full := "100"
	setGroup(t, f, func(p *admin.GroupPatch) { p.Percent = &full })
	point(t, f, "3.0")
	setGroup(t, f, func(p *admin.GroupPatch) { p.Percent = &slow })
	count := map[string]int{}
	for i := range 300 {
		count[offered(t, f, runs(fmt.Sprint("old-", i), "1.0"))]++
	}
	if count["2.0"] != 300 {
		t.Errorf("at the beginning: %v", count)
	}
	s.clock.add(5 * 24 * time.Hour)
	clear(count)
	for i := range 300 {
		count[offered(t, f, runs(fmt.Sprint("old-", i), "1.0"))]++
	}
	if count["2.0"]+count["3.0"] != 300 || count["3.0"] < 100 || count["3.0"] > 200 {
		t.Errorf("half way: %v", count)
	}
	if got := offered(t, f, runs("on-b", "2.0")); got != "3.0" && got != "percent" {
		t.Errorf("a machine on 2.0 is told %q", got)
	}
	must(t, f.Halt(t.Context(), "ada", "os", "amd64", "3.0", "panics"))
	if got := offered(t, f, runs("old-7", "1.0")); got != "2.0" {
		t.Errorf("with 3.0 halted a machine on 1.0 is told %q", got)
	}
	must(t, f.SetChannel(t.Context(), "test", "os", "main", "amd64", "2.0"))
	if got := offered(t, f, runs("old-8", "1.0")); got != "2.0" {
		t.Errorf("with the channel back at 2.0 a machine on 1.0 is told %q", got)
	}
}

func TestClocksStandStillInAPause(t *testing.T) {
	f, s := openFleet(t)
	slow, yes, no := "100/10d", true, false
	setGroup(t, f, func(p *admin.GroupPatch) { p.Percent = &slow })
	s.clock.add(24 * time.Hour)
	setGroup(t, f, func(p *admin.GroupPatch) { p.Paused = &yes })
	if got := offered(t, f, runs("m1", "1.0")); got != "pause" {
		t.Errorf("told %q", got)
	}
	s.clock.add(5 * 24 * time.Hour)
	reached := func() float64 {
		all, err := f.Rollouts(t.Context(), "os", "main")
		must(t, err)
		return all[0].ReachedPercent
	}
	if got := reached(); got != 10 {
		t.Errorf("in the pause: %v %%", got)
	}
	setGroup(t, f, func(p *admin.GroupPatch) { p.Paused = &no })
	if got := reached(); got != 10 {
		t.Errorf("after the pause: %v %%", got)
	}
	must(t, f.SpeedUp(t.Context(), "ada", "os", "main", "amd64", "2.0", true))
	if got := offered(t, f, runs("m1", "1.0")); got != "2.0" || reached() != 100 {
		t.Errorf("sped up: told %q at %v %%", got, reached())
	}
}

// Whoever asks at the same moment, no more than the limit are offered the release.
func TestLimitsAreExact(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit func(*admin.GroupPatch)
	}{
		{"per period", func(p *admin.GroupPatch) { text := "7/15m"; p.MaxPerPeriod = &text }},
		{"at once", func(p *admin.GroupPatch) { n := 7; p.MaxAtOnce = &n }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, s := openFleet(t)
			setGroup(t, f, c.limit)
			var granted atomic.Int64
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					answer, err := f.Contact(t.Context(), runs(fmt.Sprint("m", i%50), "1.0"))
					if err != nil {
						t.Error(err)
					}
					if answer.Release != nil {
						granted.Add(1)
					}
				})
			}
			all.Wait()
			machines, err := f.Machines("os", Filter{State: rollout.Offered})
			must(t, err)
			if len(machines) != 7 || granted.Load() < 7 {
				t.Errorf("%d machines have an offer, %d offers were made", len(machines), granted.Load())
			}
			// Who has an offer keeps it; the others wait.
			if got := offered(t, f, runs(machines[0].ID, "1.0")); got != "2.0" {
				t.Errorf("told %q", got)
			}
			if got := offered(t, f, runs("late", "1.0")); got != "limit" {
				t.Errorf("told %q", got)
			}
			if c.name == "at once" {
				arrive(t, f, machines[0].ID)
			}
			s.clock.add(16 * time.Minute)
			if got := offered(t, f, runs("late", "1.0")); got != "2.0" {
				t.Errorf("later told %q", got)
			}
			g, err := f.Group(t.Context(), "os", "main")
			must(t, err)
			if want := map[string]int{"per period": 1, "at once": 7}[c.name]; max(g.Allowance.Begun, g.Allowance.Open)+min(g.Allowance.Open, 0) < want {
				t.Errorf("allowance %+v", g.Allowance)
			}
		})
	}
}

// arrive takes a machine through the rest of its update to 2.0.
func arrive(t *testing.T, f *Fleet, id string) {
	t.Helper()
	c := runs(id, "2.0")
	c.Events = []omaha.Event{{Type: omaha.UpdateComplete, Result: omaha.SuccessReboot, PreviousVersion: "1.0"}}
	_, err := f.Contact(t.Context(), c)
	must(t, err)
}

// A place is durable before the offer is made. Whatever else was lost with the service, the machine has its place again, and when it is no
// longer offered anything the place is free.
func TestPlacesSurviveACrash(t *testing.T) {
	for _, c := range []struct {
		name  string
		known bool // the store has the machine, as it was before
	}{{"of a machine that is not stored", false}, {"of a machine that is", true}} {
		t.Run(c.name, func(t *testing.T) {
			f, s := openFleet(t)
			n := 1
			setGroup(t, f, func(p *admin.GroupPatch) { p.MaxAtOnce = &n })
			if c.known {
				must(t, s.Store.Apply(t.Context(), []store.Change{store.PutMachine{Machine: store.Machine{
					App: "os", ID: "m1", Group: "main", Arch: "amd64", Progress: rollout.Progress{State: rollout.Idle, Version: "1.0"}, LastSeen: f.now(),
				}}}))
			}
			limit := store.Limit{App: "os", Group: "main", AtOnce: 1}
			if a, err := s.Grant(t.Context(), limit, []store.Ask{{Machine: "m1", Version: "2.0"}}, f.now()); err != nil || !a.Granted[0] {
				t.Fatal(a, err)
			}
			again, err := Open(t.Context(), s, slog.New(slog.DiscardHandler), s.clock.now, Defaults())
			must(t, err)
			defer again.Close()
			for _, told := range []struct{ id, want string }{{"m2", "limit"}, {"m1", "2.0"}, {"m3", "limit"}} {
				if got := offered(t, again, runs(told.id, "1.0")); got != told.want {
					t.Errorf("%s is told %q, want %q", told.id, got, told.want)
				}
			}
			yes := true
			setGroup(t, again, func(p *admin.GroupPatch) { p.Paused = &yes })
			offered(t, again, runs("m1", "1.0"))
			no := false
			setGroup(t, again, func(p *admin.GroupPatch) { p.Paused = &no })
			if got := offered(t, again, runs("m2", "1.0")); got != "2.0" {
				t.Errorf("m2 is told %q when the place is free", got)
			}
		})
	}
}

func TestWithoutADatabaseNoPlacesAreGiven(t *testing.T) {
	f, s := openFleet(t)
	n := 5
	setGroup(t, f, func(p *admin.GroupPatch) { p.MaxAtOnce = &n })
	must(t, s.Close())
	if got := offered(t, f, runs("m1", "1.0")); got != "limit" {
		t.Errorf("told %q", got)
	}
}

func TestAMachineThatNeverCameBack(t *testing.T) {
	f, s := openFleet(t)
	offered(t, f, runs("m1", "1.0"))
	offered(t, f, runs("m2", "1.0"))
	_, err := f.Contact(t.Context(), contact("m1", omaha.Event{Type: omaha.UpdateComplete, Result: omaha.Success}))
	must(t, err)
	f.sweep(t.Context(), s.clock.add(5*time.Hour))
	if r, _ := f.Release("os", "amd64", "2.0"); r.Halted {
		t.Errorf("halted too early: %s", r.HaltReason)
	}
	f.sweep(t.Context(), s.clock.add(2*time.Hour))
	r, err := f.Release("os", "amd64", "2.0")
	must(t, err)
	if !r.Halted || len(r.Barred) != 1 || r.Barred[0].Machine != "m1" || r.Barred[0].State != rollout.NeverCameBack {
		t.Errorf("got %+v", r)
	}
	e, err := f.Explain("os", "m2")
	must(t, err)
	if e.Machine.State != rollout.Idle {
		t.Errorf("m2, which only had an offer, is %s", e.Machine.State)
	}
	// It comes back after all, on the release: the bar is lifted.
	arrive(t, f, "m1")
	if e, err = f.Explain("os", "m1"); err != nil || len(e.Barred) != 0 || e.Machine.State != rollout.Complete {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestMachinesAreForgotten(t *testing.T) {
	f, s := openFleet(t)
	offered(t, f, runs("m1", "1.0"))
	f.writeBatch(true)
	f.sweep(t.Context(), s.clock.add(91*24*time.Hour))
	if machines, err := f.Machines("os", Filter{}); err != nil || len(machines) != 0 {
		t.Errorf("got %v, %v", machines, err)
	}
	must(t, f.AddApp(t.Context(), "test", store.App{ID: "b", Name: "b"})) // written behind the removal
	m, err := load(t.Context(), s)
	must(t, err)
	if len(m.machines.index) != 0 {
		t.Error("the store still has it")
	}
}

func TestPins(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	must(t, f.AddRelease(ctx, "test", sample("1.5")))
	offered(t, f, runs("m1", "2.0"))
	must(t, f.PinMachine(ctx, "ada", "os", "m1", admin.Pin{Version: "1.5"}))
	if got := offered(t, f, runs("m1", "2.0")); got != "version" {
		t.Errorf("without leave to go back: %q", got)
	}
	must(t, f.PinMachine(ctx, "ada", "os", "m1", admin.Pin{Version: "1.5", Downgrade: true}))
	if got := offered(t, f, runs("m1", "2.0")); got != "1.5" {
		t.Errorf("pinned back: %q", got)
	}
	must(t, f.UnpinMachine(ctx, "ada", "os", "m1"))
	if got := offered(t, f, runs("m1", "1.5")); got != "2.0" {
		t.Errorf("unpinned: %q", got)
	}
	if err := f.UnpinMachine(ctx, "ada", "os", "m1"); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
	version, yes := "1.5", true
	setGroup(t, f, func(p *admin.GroupPatch) { p.Pin, p.Downgrade = &version, &yes })
	if got := offered(t, f, runs("m2", "2.0")); got != "1.5" {
		t.Errorf("in a pinned group: %q", got)
	}
}

func TestFloorsAndDeadEnds(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	point(t, f, "3.0")
	reason := "the boot loader changes"
	must(t, f.SetRelease(ctx, "ada", "os", "amd64", "2.0", admin.ReleasePatch{Floor: &reason}))
	if got := offered(t, f, runs("m1", "1.0")); got != "2.0" {
		t.Errorf("over a floor: %q", got)
	}
	if got := offered(t, f, runs("m2", "2.0")); got != "3.0" {
		t.Errorf("from a floor: %q", got)
	}
	must(t, f.SetRelease(ctx, "ada", "os", "amd64", "2.0", admin.ReleasePatch{DeadEnd: &reason}))
	e, err := f.Explain("os", "m2")
	must(t, err)
	told := ""
	for _, r := range e.Decision.Reasons {
		if !r.OK {
			told += r.Text
		}
	}
	if e.Decision.Version != "" || !strings.Contains(told, reason) {
		t.Errorf("on a dead end: %+v", e.Decision)
	}
}

func TestMachinesAskByProductIDAndWithBraces(t *testing.T) {
	f, _ := openFleet(t)
	must(t, f.AddApp(t.Context(), "test", store.App{ID: "os", Name: "os", ProductID: "io.example.os"}))
	for _, id := range []string{"os", "{OS}", "io.example.os", "IO.Example.OS"} {
		c := contact("m1")
		c.App = id
		if got := offered(t, f, c); got != "2.0" {
			t.Errorf("%s is told %q", id, got)
		}
	}
}

func TestStrangersAreAnsweredAndNotRegistered(t *testing.T) {
	f, _ := openFleet(t)
	f.options.MaxMachines = 1
	if got := offered(t, f, contact("")); got != "2.0" {
		t.Errorf("without an id: %q", got)
	}
	offered(t, f, contact("m1"))
	if got := offered(t, f, contact("m2")); got != "2.0" {
		t.Errorf("beyond the bound: %q", got)
	}
	if machines, err := f.Machines("os", Filter{}); err != nil || len(machines) != 1 {
		t.Errorf("got %v, %v", machines, err)
	}
}

func TestConfigurationGoesOutAndIn(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	rate, window := "10/15m", []string{"0 22 * * *; 4h; Europe/Berlin"}
	setGroup(t, f, func(p *admin.GroupPatch) { p.MaxPerPeriod, p.Windows = &rate, &window })
	out := f.Configuration()
	applied, err := f.Apply(ctx, "ada", admin.Apply{Configuration: out, Prune: true})
	must(t, err)
	if len(applied.Steps) != 0 {
		t.Errorf("what was exported is to change: %q", applied.Steps)
	}
	want := admin.Apply{Prune: true, Configuration: admin.Configuration{
		Apps:     []store.App{{ID: "os", Name: "os"}, {ID: "db", Name: "db"}},
		Channels: []admin.ConfigChannel{{App: "os", Name: "edge", Releases: map[string]string{"amd64": "2.0"}}},
		Groups:   []store.Group{{App: "os", Name: "early", Channel: "edge", Percent: "50"}},
	}}
	dry := want
	dry.DryRun = true
	before := f.Configuration()
	planned, err := f.Apply(ctx, "ada", dry)
	must(t, err)
	if diff := cmp.Diff(before, f.Configuration()); diff != "" {
		t.Errorf("a dry run changed something: %s", diff)
	}
	applied, err = f.Apply(ctx, "ada", want)
	must(t, err)
	if diff := cmp.Diff(planned, applied); diff != "" || len(applied.Steps) != 6 {
		t.Errorf("%q %s", applied.Steps, diff)
	}
	got := f.Configuration()
	if len(got.Channels) != 1 || got.Channels[0].Name != "edge" || len(got.Groups) != 1 || got.Groups[0].ErrorBudget != "0" {
		t.Errorf("got %+v", got)
	}
	c := contact("m1")
	c.Group, c.Manual = "early", true
	if got := offered(t, f, c); got != "2.0" {
		t.Errorf("in the new group: %q", got)
	}
	want.Groups[0].Channel = "none"
	if _, err := f.Apply(ctx, "ada", want); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

// Each replica saw no more failures than the budget allows; together they are one too many, and whoever hears of both halts the release.
func TestFailuresOfReplicasAddUp(t *testing.T) {
	f, s := openFleet(t)
	budget := "1"
	setGroup(t, f, func(p *admin.GroupPatch) { p.ErrorBudget = &budget })
	offered(t, f, runs("m1", "1.0"))
	_, err := f.Contact(t.Context(), contact("m1", retreat))
	must(t, err)
	if r, _ := f.Release("os", "amd64", "2.0"); r.Halted {
		t.Fatalf("one failure halted it: %s", r.HaltReason)
	}
	f.join([]store.Change{
		store.PutMachine{Machine: store.Machine{App: "os", ID: "m2", Group: "main", Arch: "amd64", Progress: rollout.Progress{State: rollout.RolledBack, Version: "1.0"}}},
		store.PutBar{Bar: store.Bar{App: "os", Machine: "m2", Arch: "amd64", Version: "2.0", Group: "main", State: rollout.RolledBack, Reason: "rolled back"}},
	})
	r, err := f.Release("os", "amd64", "2.0")
	must(t, err)
	if !r.Halted || len(r.Barred) != 2 {
		t.Errorf("got %+v", r)
	}
	must(t, f.AddApp(t.Context(), "test", store.App{ID: "b", Name: "b"})) // written behind the halt
	m, err := load(t.Context(), s)
	must(t, err)
	if _, halted := m.of("os").halts[releaseKey{"amd64", "2.0"}]; !halted {
		t.Error("the halt is not stored")
	}
}

func TestLongTextsAreNotKept(t *testing.T) {
	f, _ := openFleet(t)
	c := contact(strings.Repeat("x", 129))
	if got := offered(t, f, c); got != "2.0" {
		t.Errorf("told %q", got)
	}
	c = contact("m1")
	c.Alias = strings.Repeat("é", 100)
	offered(t, f, c)
	machines, err := f.Machines("os", Filter{})
	must(t, err)
	if len(machines) != 1 || machines[0].Alias != strings.Repeat("é", 64) {
		t.Errorf("got %+v", machines)
	}
}

func TestTokensComeAndGo(t *testing.T) {
	f, _ := openFleet(t)
	token := store.Token{ID: "t1", Name: "ci", Role: "viewer", SHA256: "ab", Created: f.now()}
	must(t, f.AddToken(t.Context(), "ada", token))
	if err := f.AddToken(t.Context(), "ada", token); !fault.Is(err, fault.Conflict) {
		t.Errorf("got %v", err)
	}
	if got, ok := f.Token("t1"); !ok || got != token {
		t.Errorf("got %+v", got)
	}
	must(t, f.RemoveToken(t.Context(), "ada", "t1"))
	if len(f.Tokens()) != 0 {
		t.Error("it is still there")
	}
}

// Whatever the machines do, the counts that are kept are those that a recount gives.
func TestCountsAreKept(t *testing.T) {
	f, _ := openFleet(t)
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			c := contact(fmt.Sprint("m", rapid.IntRange(0, 5).Draw(t, "machine")))
			c.Version = rapid.SampledFrom([]string{"1.0", "2.0", "0.9", ""}).Draw(t, "version")
			c.Group = rapid.SampledFrom([]string{"main", "other"}).Draw(t, "group")
			if rapid.Bool().Draw(t, "event") {
				c.Events = []omaha.Event{{Type: omaha.EventType(rapid.SampledFrom([]int{3, 13, 14}).Draw(t, "type")),
					Result: omaha.EventResult(rapid.IntRange(0, 2).Draw(t, "result")), PreviousVersion: "1.0"}}
			}
			if _, err := f.Contact(context.Background(), c); err != nil {
				t.Fatal(err)
			}
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		recount := map[tally]int{}
		for i := range f.memory.machines.length {
			if r := f.memory.machines.at(i); r.flags&used != 0 {
				recount[r.tally()]++
			}
		}
		if diff := cmp.Diff(recount, f.memory.tallies, cmp.AllowUnexported(tally{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
