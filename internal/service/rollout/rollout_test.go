package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/release"
)

// sample is a case with an offer: machine m1 runs 1.0.0, and alpha points at 1.1.0.
func sample(change func(*Case)) Case {
	c := Case{
		App: "conifer-os", AppKnown: true, Track: "alpha", Machine: Machine{ID: "m1", Version: "1.0.0", Arch: "amd64"},
		Group:   &Group{Name: "alpha", Channel: "alpha", Percent: 100},
		Release: &Release{Version: "1.1.0"},
	}
	change(&c)
	return c
}

func TestOffer(t *testing.T) {
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		name    string
		change  func(*Case)
		offer   string
		rule    string
		because string
	}{
		{"a newer release", func(*Case) {}, "1.1.0", "percent", "100 %"},
		{"unknown application", func(c *Case) { c.AppKnown = false }, "", "application", "conifer-os is unknown"},
		{"unknown group", func(c *Case) { c.Group = nil }, "", "group", `"alpha" is unknown`},
		{"unknown architecture", func(c *Case) { c.Machine.Arch = "" }, "", "architecture", "unknown"},
		{"empty channel", func(c *Case) { c.Release = nil }, "", "channel", "no release for amd64"},
		{"the same version", func(c *Case) { c.Machine.Version = "1.1.0" }, "", "version", "already"},
		{"a newer version runs", func(c *Case) { c.Machine.Version = "1.2.0" }, "", "version", "older release is never"},
		{"a version of no known form", func(c *Case) { c.Machine.Version = "ForcedUpdate" }, "1.1.0", "percent", ""},
		{"no version", func(c *Case) { c.Machine.Version = "" }, "1.1.0", "percent", ""},
		{"halted", func(c *Case) { c.Release.Halt = &Halt{"kernel panics", "ada", noon} }, "", "halt", "by ada at 2026-11-01T12:00:00Z: kernel panics"},
		{"paused", func(c *Case) { c.Group.Paused = true }, "", "pause", "alpha is paused"},
		{"barred", func(c *Case) { c.Barred = "rolled back" }, "", "loop guard", "before: rolled back"},
		{"none yet", func(c *Case) { c.Group.Percent = 0 }, "", "percent", "0 %"},
		{"no machine id, almost all", func(c *Case) { c.Machine.ID, c.Group.Percent = "", 99 }, "", "percent", "99.99 %"},
		{"no machine id, all", func(c *Case) { c.Machine.ID = "" }, "1.1.0", "percent", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := Offer(sample(c.change))
			why := d.Why()
			if d.Version != c.offer || why.Rule != c.rule || !strings.Contains(why.Text, c.because) || why.OK != d.Offered() {
				t.Errorf("got %q because of %+v", d.Version, why)
			}
		})
	}
}

func TestEverythingInTheWayIsTold(t *testing.T) {
	d := Offer(sample(func(c *Case) {
		c.Group.Paused, c.Barred, c.Release.Halt = true, "failed", &Halt{Reason: "x", By: "y"}
	}))
	var refused []string
	for _, r := range d.Reasons {
		if !r.OK {
			refused = append(refused, r.Rule)
		}
	}
	if diff := cmp.Diff([]string{"halt", "pause", "loop guard"}, refused); diff != "" {
		t.Error(diff)
	}
}

func genCase(t *rapid.T) Case {
	version := rapid.StringMatching(`[0-3]\.[0-3]\.[0-3]`)
	c := sample(func(*Case) {})
	c.Machine.ID = rapid.StringMatching(`[0-9a-f]{0,8}`).Draw(t, "id")
	c.Machine.Version = version.Draw(t, "runs")
	c.Release.Version = version.Draw(t, "release")
	c.Group.Percent = rapid.IntRange(0, 100).Draw(t, "percent")
	c.Group.Paused = rapid.Bool().Draw(t, "paused")
	return c
}

func TestOfferProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCase(t)
		d := Offer(c)
		if d.Offered() && (release.Compare(c.Machine.Version, d.Version) >= 0 || c.Group.Paused) {
			t.Fatalf("%+v was offered %s", c.Machine, d.Version)
		}
		if diff := cmp.Diff(d, Offer(c)); diff != "" {
			t.Fatalf("the same case was answered twice, differently: %s", diff)
		}
		more := *c.Group
		more.Percent = rapid.IntRange(c.Group.Percent, 100).Draw(t, "more")
		wider := c
		wider.Group = &more
		if d.Offered() && !Offer(wider).Offered() {
			t.Fatalf("offered at %d %%, not at %d %%", c.Group.Percent, more.Percent)
		}
		halted := *c.Release
		halted.Halt = &Halt{Reason: "x", By: "y"}
		stopped := c
		stopped.Release = &halted
		if Offer(stopped).Offered() {
			t.Fatal("a halted release was offered")
		}
	})
}

// Of 2000 machines about the asked share is offered a release, and the next release begins with others.
func TestPlacesAreSpread(t *testing.T) {
	early := map[string]int{}
	const machines = 2000
	both := 0
	for i := range machines {
		id := fmt.Sprintf("machine-%d", i)
		first, second := Place(id, "1.1.0") < places/10, Place(id, "1.2.0") < places/10
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
}

func event(typ omaha.EventType, result omaha.EventResult) omaha.Event {
	return omaha.Event{Type: typ, Result: result}
}

func TestAnUpdateInItsStates(t *testing.T) {
	p := Progress{State: Idle, Version: "1.0.0"}
	step := func(name string, next Progress, want Progress) {
		t.Helper()
		if diff := cmp.Diff(want, next); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		p = next
	}
	advance := func(e omaha.Event) Progress {
		next, ending := p.Advance(e)
		if ending.Bad() {
			t.Errorf("%+v ended the update: %+v", e, ending)
		}
		return next
	}
	step("no update", p.Checked(""), Progress{State: Idle, Version: "1.0.0"})
	step("offer", p.Checked("1.1.0"), Progress{State: Offered, Version: "1.0.0", Target: "1.1.0"})
	step("13/1", advance(event(13, 1)), Progress{State: Downloading, Version: "1.0.0", Target: "1.1.0"})
	step("14/1", advance(event(14, 1)), Progress{State: Downloaded, Version: "1.0.0", Target: "1.1.0"})
	step("3/1", advance(event(3, 1)), Progress{State: Installed, Version: "1.0.0", Target: "1.1.0"})
	step("ping", p.Runs("1.0.0"), Progress{State: Installed, Version: "1.0.0", Target: "1.1.0"})
	step("reboot", p.Runs("1.1.0"), Progress{State: Complete, Version: "1.1.0", Target: "1.1.0"})
	step("3/2", advance(event(3, 2)), Progress{State: Complete, Version: "1.1.0", Target: "1.1.0"})
	step("by hand", p.Runs("0.9.0"), Progress{State: Idle, Version: "0.9.0"})
}

func TestAMachineThatAsksBeforeItsRebootStaysInstalled(t *testing.T) {
	p := Progress{State: Installed, Version: "1", Target: "2"}
	if got := p.Checked("2"); got != p {
		t.Errorf("offered the same again: %+v", got)
	}
	if got := p.Checked("3"); got.State != Offered || got.Target != "3" {
		t.Errorf("offered another: %+v", got)
	}
}

func TestAnAbandonedDownloadIsIdle(t *testing.T) {
	for _, s := range []State{Offered, Downloading, Downloaded} {
		if got := (Progress{State: s, Version: "1", Target: "2"}).Checked(""); got != (Progress{State: Idle, Version: "1"}) {
			t.Errorf("%s: got %+v", s, got)
		}
	}
	for _, s := range []State{Installed, Complete, RolledBack, Failed} {
		if got := (Progress{State: s, Version: "1", Target: "2"}).Checked(""); got.State != s {
			t.Errorf("%s: got %+v", s, got)
		}
	}
}

func TestEndings(t *testing.T) {
	cases := []struct {
		name   string
		target string
		event  omaha.Event
		state  State
		ending string // version of the release it ends, "" for none
	}{
		{"rolled back", "1.1.0", omaha.Event{Type: 3, ErrorCode: 44}, RolledBack, "1.1.0"},
		{"rolled back, with a flag", "1.1.0", omaha.Event{Type: 3, ErrorCode: 44 - 1<<31}, RolledBack, "1.1.0"},
		{"wrong digest", "1.1.0", omaha.Event{Type: 3, ErrorCode: 10}, Failed, "1.1.0"},
		{"names its release", "", omaha.Event{Type: 3, ErrorCode: 44, NextVersion: "1.2.0"}, RolledBack, "1.2.0"},
		{"about no release", "", omaha.Event{Type: 3, ErrorCode: 44}, RolledBack, ""},
		{"network", "1.1.0", omaha.Event{Type: 3, ErrorCode: 9}, Failed, ""},
		{"overloaded service", "1.1.0", omaha.Event{Type: 3, ErrorCode: 2503}, Failed, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, ending := Progress{State: Downloading, Version: "1.0.0", Target: c.target}.Advance(c.event)
			if p.State != c.state || p.Code != c.event.ErrorCode || ending.Version != c.ending || ending.Bad() != (c.ending != "") {
				t.Errorf("got %+v, %+v", p, ending)
			}
		})
	}
}

func TestEventsThatTellNothing(t *testing.T) {
	for previous, want := range map[string]bool{"": false, "0.0.0.0": false, "1.0.0": true} {
		if got := Tells(omaha.Event{Type: 3, Result: 2, PreviousVersion: previous}); got != want {
			t.Errorf("previous version %q: got %v", previous, got)
		}
	}
	if !Tells(event(13, 1)) || !Tells(event(3, 1)) {
		t.Error("a download or an installation tells nothing")
	}
}

func TestJudge(t *testing.T) {
	last := Ending{Version: "1.1.0", State: RolledBack, Text: "rolled back (code 44)"}
	cases := []struct {
		budget, failures int
		halt             bool
	}{{0, 0, false}, {0, 1, true}, {2, 2, false}, {2, 3, true}}
	for _, c := range cases {
		reason, halt := Judge(Group{Name: "alpha", ErrorBudget: c.budget}, c.failures, last)
		if halt != c.halt || halt != strings.Contains(reason, "error budget is") {
			t.Errorf("%+v: got %v %q", c, halt, reason)
		}
	}
}
