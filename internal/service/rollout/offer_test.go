package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC) // a Wednesday

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func policy(change func(*PolicyText)) Policy {
	var text PolicyText
	change(&text)
	return must(ParsePolicy(text))
}

func percentOf(text string) Policy { return policy(func(t *PolicyText) { t.Percent = text }) }

// sample is a case with an offer: machine m1 runs 1.0.0, and alpha points at 1.2.0, which took the place of 1.1.0 a day ago.
func sample(change func(*Case)) *Case {
	c := &Case{
		Now: noon, App: "conifer-os", AppKnown: true, Track: "alpha",
		Machine: Machine{ID: "m1", Version: "1.0.0", Arch: "amd64"},
		Group:   &Group{Name: "alpha", Channel: "alpha", Policy: percentOf("100")},
		Releases: []Release{
			{Version: "1.2.0", Started: noon.Add(-day)},
			{Version: "1.1.0", Started: noon.Add(-3 * day), Stopped: true, Reached: whole},
		},
		Running: &Release{Version: "1.0.0"},
	}
	change(c)
	return c
}

// one leaves the case only its newest release.
func (c *Case) one() { c.Releases = c.Releases[:1] }

func halted() *Halt { return &Halt{Reason: "kernel panics", By: "ada", At: noon} }

var offers = []struct {
	name    string
	change  func(*Case)
	offer   string
	rule    string // that decided
	because string
}{
	{"a newer release", func(*Case) {}, "1.2.0", "limit", "no limit"},
	{"unknown application", func(c *Case) { c.AppKnown = false }, "", "application", "conifer-os is unknown"},
	{"unknown group", func(c *Case) { c.Group = nil }, "", "group", `"alpha" is unknown`},
	{"unknown architecture", func(c *Case) { c.Machine.Arch = "" }, "", "architecture", "unknown"},
	{"empty channel", func(c *Case) { c.Releases = nil }, "", "channel", "no release for amd64"},
	{"it runs a dead end", func(c *Case) { c.Running.DeadEnd = "disk layout" }, "", "dead end", "1.0.0, which the machine runs, is a dead end: disk layout"},

	{"the same version", func(c *Case) { c.Machine.Version = "1.2.0" }, "", "version", "already"},
	{"a newer version runs", func(c *Case) { c.Machine.Version = "1.3.0" }, "", "version", "only by a pin"},
	{"no version", func(c *Case) { c.Machine.Version = "" }, "1.2.0", "limit", ""},
	{"a version of four parts", func(c *Case) { c.Machine.Version = "1.2.0.1" }, "", "version", ""},
	{"forced, where the newest runs", func(c *Case) { c.Machine.Version, c.Machine.Forced = "0.0.0", true }, "1.2.0", "limit", ""},

	{"halted", func(c *Case) { c.one(); c.Releases[0].Halt = halted() }, "", "halt", "by ada at 2026-11-04T12:00:00Z: kernel panics"},
	{"halted, with an earlier one", func(c *Case) { c.Releases[0].Halt = halted() }, "1.1.0", "limit", ""},
	{"halted, and on the earlier one", func(c *Case) { c.Releases[0].Halt = halted(); c.Machine.Version = "1.1.0" }, "", "halt", ""},
	{"paused", func(c *Case) { c.Group.Paused = true }, "", "pause", "alpha is paused"},
	{"barred", func(c *Case) { c.one(); c.Bars = map[string]string{"1.2.0": "rolled back"} }, "", "loop guard", "before: rolled back"},
	{"barred, with an earlier one", func(c *Case) { c.Bars = map[string]string{"1.2.0": "rolled back"} }, "1.1.0", "limit", ""},
	{"a dead end ahead", func(c *Case) { c.one(); c.Releases[0].DeadEnd = "last one" }, "", "dead end ahead", "only by a pin: last one"},
	{"a dead end ahead, with an earlier one", func(c *Case) { c.Releases[0].DeadEnd = "last one" }, "1.1.0", "limit", ""},

	{"none yet", func(c *Case) { c.one(); c.Group.Policy = percentOf("0") }, "", "percent", "come to 0.00 %"},
	{"none yet, with an earlier one", func(c *Case) { c.Group.Policy = percentOf("0") }, "1.1.0", "limit", ""},
	{"on its way", func(c *Case) { c.one(); c.Machine.ID, c.Group.Policy = "m2", percentOf("100/2d") }, "", "percent", "come to 50.00 % of its machines, and this one's rank is at 92.78 %"},
	{"on its way for two days", func(c *Case) { c.one(); c.Group.Policy = percentOf("100/2d"); c.Now = noon.Add(day) }, "1.2.0", "limit", ""},
	{"in its first phase", func(c *Case) { c.one(); c.Group.Policy = percentOf("canary:1:48h,all:100") }, "", "percent", "1.00 % of its machines, in phase canary"},
	{"the clock stands still", func(c *Case) {
		c.one()
		c.Group.Policy, c.Group.Paused, c.Group.PausedAt, c.Now = percentOf("100/2d"), true, noon, noon.Add(day)
	}, "", "pause", ""},
	{"stopped", func(c *Case) {
		c.Releases[0].Halt, c.Releases[1].Reached = halted(), 10
	}, "", "halt", ""},
	{"an emergency", func(c *Case) { c.Group.Policy = percentOf("0"); c.Releases[0].Emergency = true }, "1.2.0", "limit", ""},
	{"a manual check", func(c *Case) { c.Group.Policy = percentOf("0"); c.Machine.Manual = true }, "1.2.0", "limit", ""},
	{"a manual check does not lift a halt", func(c *Case) { c.one(); c.Machine.Manual, c.Releases[0].Halt = true, halted() }, "", "halt", ""},
	{"a forced update", func(c *Case) { c.Group.Policy = percentOf("0"); c.Machine.Forced = true }, "1.2.0", "limit", ""},
	{"eager", func(c *Case) { c.Group.Policy = percentOf("0.01"); c.Machine.HasWariness = true }, "1.2.0", "limit", ""},
	{"wary", func(c *Case) {
		c.one()
		c.Group.Policy, c.Machine.HasWariness, c.Machine.Wariness = percentOf("99.99"), true, 1
	}, "", "percent", "rank is at 99.99 % by its own wariness"},
	{"no machine id, almost all", func(c *Case) { c.one(); c.Machine.ID, c.Group.Policy = "", percentOf("99.99") }, "", "percent", "99.99 %"},
	{"no machine id, all", func(c *Case) { c.Machine.ID = "" }, "1.2.0", "limit", ""},
	{"no machine id is never eager", func(c *Case) {
		c.one()
		c.Machine.ID, c.Machine.HasWariness, c.Group.Policy = "", true, percentOf("99")
	}, "", "percent", "99.99 %"},

	{"outside the window", func(c *Case) { c.one(); c.Group.Policy.Windows = []Window{nights} }, "", "window", "next opens at 2026-11-04T21:00:00Z"},
	{"inside the window", func(c *Case) { c.Group.Policy.Windows, c.Now = []Window{nights}, noon.Add(10*time.Hour) }, "1.2.0", "limit", ""},
	{"an emergency outside the window", func(c *Case) {
		c.Group.Policy.Windows, c.Releases[0].Emergency = []Window{nights}, true
	}, "1.2.0", "limit", ""},
	{"a manual check outside the window", func(c *Case) { c.Group.Policy.Windows, c.Machine.Manual = []Window{nights}, true }, "", "window", ""},

	{"no place is free", func(c *Case) {
		c.Place = Place{Limited: true, Full: "50 of 50 updates are under way", Again: noon}
	}, "", "limit", "50 of 50 updates are under way; a place may come free at 2026-11-04T12:00:00Z"},
	{"no place is free in an emergency", func(c *Case) { c.Place = Place{Limited: true, Full: "full"}; c.Releases[0].Emergency = true }, "", "limit", "alpha is reached: full"},
	{"no id under a limit", func(c *Case) { c.Machine.ID, c.Place = "", Place{Limited: true} }, "", "limit", "cannot hold a place"},
	{"a place is held", func(c *Case) { c.Place = Place{Limited: true, Held: "1.2.0", Full: "full"} }, "1.2.0", "limit", "holds a place"},
	{"a place is held for the earlier one", func(c *Case) { c.Place = Place{Limited: true, Held: "1.1.0", Full: "full"} }, "1.1.0", "limit", "holds a place"},

	{"pinned", func(c *Case) { c.pin(Pin{Of: "machine", Release: &Release{Version: "1.1.5"}}) }, "1.1.5", "limit", ""},
	{"pinned, before its percent", func(c *Case) {
		c.Group.Policy = percentOf("0")
		c.pin(Pin{Of: "group alpha", Release: &Release{Version: "1.1.5"}})
	}, "1.1.5", "limit", ""},
	{"pinned, without rollouts", func(c *Case) { c.Releases = nil; c.pin(Pin{Of: "machine", Release: &Release{Version: "1.1.5"}}) }, "1.1.5", "limit", ""},
	{"pinned to nothing", func(c *Case) { c.Pin = &Pin{Version: "7", Of: "group alpha"} }, "", "pin", "group alpha is pinned to release 7, which there is not for amd64"},
	{"pinned to what runs", func(c *Case) { c.pin(Pin{Release: &Release{Version: "1.0.0"}}) }, "", "version", "already"},
	{"pinned to an older one", func(c *Case) { c.pin(Pin{Release: &Release{Version: "0.9.0"}}) }, "", "version", "does not allow a downgrade"},
	{"pinned with downgrade", func(c *Case) { c.pin(Pin{Downgrade: true, Release: &Release{Version: "0.9.0"}}) }, "0.9.0", "limit", ""},
	{"pinned to a halted one", func(c *Case) { c.pin(Pin{Release: &Release{Version: "1.1.5", Halt: halted()}}) }, "", "halt", ""},
	{"pinned to a dead end", func(c *Case) { c.pin(Pin{Release: &Release{Version: "1.1.5", DeadEnd: "x"}}) }, "1.1.5", "limit", ""},
	{"pinned in a paused group", func(c *Case) { c.Group.Paused = true; c.pin(Pin{Release: &Release{Version: "1.1.5"}}) }, "", "pause", "counts for a pin too"},
	{"pinned outside the window", func(c *Case) {
		c.Group.Policy.Windows = []Window{nights}
		c.pin(Pin{Release: &Release{Version: "1.1.5"}})
	}, "", "window", ""},

	{"a floor in between", func(c *Case) { c.floors("1.1.7", "1.1.8") }, "1.1.7", "limit", ""},
	{"a floor that runs", func(c *Case) { c.floors("1.0.0", "1.1.8") }, "1.1.8", "limit", ""},
	{"a floor is the newest itself", func(c *Case) { c.floors("1.2.0") }, "1.2.0", "limit", ""},
	{"a floor above", func(c *Case) { c.floors("1.3.0") }, "1.2.0", "limit", ""},
	{"a floor above the earlier one", func(c *Case) { c.floors("1.1.8"); c.Group.Policy = percentOf("0") }, "1.1.0", "limit", ""},
	{"a halted floor", func(c *Case) { c.one(); c.floors("1.1.8"); c.Floors[0].Halt = halted() }, "", "floor", "1.1.8 must come before 1.2.0 (new keys), but release 1.1.8 was halted by ada"},
	{"a barred floor", func(c *Case) {
		c.one()
		c.floors("1.1.8")
		c.Bars = map[string]string{"1.1.8": "failed"}
	}, "", "floor", "tried release 1.1.8 before: failed"},
	{"a floor that is a dead end", func(c *Case) { c.one(); c.floors("1.1.8"); c.Floors[0].DeadEnd = "x" }, "", "floor", "but it is a dead end: x"},
	{"a floor before a pin", func(c *Case) { c.floors("1.1.2"); c.pin(Pin{Release: &Release{Version: "1.1.5"}}) }, "1.1.2", "limit", ""},
	{"a floor and a downgrade", func(c *Case) {
		c.floors("0.9.5")
		c.pin(Pin{Downgrade: true, Release: &Release{Version: "0.9.0"}})
	}, "0.9.0", "limit", ""},
	{"a floor below what a forced machine really runs", func(c *Case) {
		c.floors("0.9.0")
		c.Machine.Version, c.Machine.Forced = "0.0.0", true
	}, "1.2.0", "limit", ""},
	{"a floor and a forced machine that nobody knows", func(c *Case) {
		c.floors("0.9.0")
		c.Machine.Version, c.Machine.Forced, c.Running = "0.0.0", true, nil
	}, "0.9.0", "limit", ""},
	{"a place is held for the floor", func(c *Case) {
		c.floors("1.1.8")
		c.Place = Place{Limited: true, Held: "1.1.8", Full: "full"}
	}, "1.1.8", "limit", ""},
}

var nights = must(ParseWindow("0 22 * * 1-5; 4h; Europe/Berlin"))

func (c *Case) pin(p Pin) { p.Version, c.Pin = p.Release.Version, &p }

func (c *Case) floors(versions ...string) {
	for _, v := range versions {
		c.Floors = append(c.Floors, Release{Version: v, Floor: "new keys"})
	}
}

func TestOffer(t *testing.T) {
	for _, c := range offers {
		t.Run(c.name, func(t *testing.T) {
			d := Explain(sample(c.change))
			why := d.Why()
			if d.Version != c.offer || why.Rule != c.rule || !strings.Contains(why.Text, c.because) || why.OK != d.Offered() {
				t.Errorf("got %q because of %+v", d.Version, why)
			}
			same(t, sample(c.change))
		})
	}
}

// same holds Offer and Explain against each other.
func same(t interface{ Fatalf(string, ...any) }, c *Case) {
	d, a := Explain(c), Offer(c)
	rule := ""
	if !d.Offered() {
		rule = d.Why().Rule
	}
	if want := (Answer{d.Version, rule, d.NeedsPlace, c.wantedFrom(d.Version)}); a != want {
		t.Fatalf("the machine is told %+v, and the explanation says %+v: %+v", a, want, d.Reasons)
	}
	if d.Offered() && (len(d.Payloads) == 0 || a.From != "" && d.Payloads[0].From != a.From || d.Payloads[len(d.Payloads)-1].From != "") {
		t.Fatalf("the machine is told %+v, and the explanation says %+v", a, d.Payloads)
	}
}

func TestAPlaceIsTakenOnlyUnderALimit(t *testing.T) {
	for held, want := range map[string]bool{"": true, "1.1.0": true, "1.2.0": false} {
		if got := Offer(sample(func(c *Case) { c.Place = Place{Limited: true, Held: held} })); got.NeedsPlace != want || got.Version != "1.2.0" {
			t.Errorf("place held for %q: got %+v", held, got)
		}
	}
	if got := Offer(sample(func(*Case) {})); got.NeedsPlace {
		t.Error("a place is needed where there is no limit")
	}
}

func refusals(d Decision) (all []string) {
	for _, r := range d.Reasons {
		if !r.OK {
			all = append(all, r.Release+" "+r.Rule)
		}
	}
	return all
}

func TestEverythingInTheWayIsTold(t *testing.T) {
	d := Explain(sample(func(c *Case) {
		c.Machine.Version, c.Group.Paused = "1.1.0", true
		c.Bars, c.Releases[0].Halt = map[string]string{"1.2.0": "failed"}, halted()
	}))
	if diff := cmp.Diff([]string{"1.2.0 halt", "1.2.0 pause", "1.2.0 loop guard", "1.1.0 version"}, refusals(d)); diff != "" {
		t.Error(diff)
	}
}

func TestEveryRuleIsTested(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range offers {
		if c.offer == "" {
			seen[c.rule] = true
		}
	}
	names := Rules()
	for i, name := range names {
		if !seen[name] {
			t.Errorf("no case is refused by rule %q", name)
		}
		if slices.Contains(names[:i], name) {
			t.Errorf("two rules are called %q", name)
		}
	}
}

// Of 2000 machines about the asked share is offered a release, and the next release begins with others.
func TestRanksAreSpread(t *testing.T) {
	early := map[string]int{}
	const machines = 2000
	both := 0
	for i := range machines {
		id := fmt.Sprintf("machine-%d", i)
		first, second := Rank(id, "1.1.0") < whole/10, Rank(id, "1.2.0") < whole/10
		if first {
			early["1.1.0"]++
		}
		if second {
			early["1.2.0"]++
		}
		if first && second {
			both++
		}
	}
	for version, n := range early {
		if n < machines/10*7/10 || n > machines/10*13/10 {
			t.Errorf("%d of %d machines are in the first tenth of %s", n, machines, version)
		}
	}
	if both > machines/100*3 {
		t.Errorf("%d machines are early twice, want about %d", both, machines/100)
	}
	if long := strings.Repeat("x", 500); Rank(long+"1", "1") == Rank(long+"2", "1") {
		t.Error("long ids have the same rank")
	}
}
