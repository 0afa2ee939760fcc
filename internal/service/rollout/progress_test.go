package rollout

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/omaha"
)

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
	arrived := omaha.Event{Type: 3, Result: 2, PreviousVersion: "1.0.0"}
	step("no update", p.Checked(""), Progress{State: Idle, Version: "1.0.0"})
	step("offer", p.Checked("1.1.0"), Progress{State: Offered, Version: "1.0.0", Target: "1.1.0"})
	step("3/2 of every poll", advance(event(3, 2)), Progress{State: Offered, Version: "1.0.0", Target: "1.1.0"})
	step("13/1", advance(event(13, 1)), Progress{State: Downloading, Version: "1.0.0", Target: "1.1.0"})
	step("13/4", advance(omaha.Event{Type: 13, Result: 4, ErrorCode: 10}), Progress{State: Downloading, Version: "1.0.0", Target: "1.1.0"})
	step("14/1", advance(event(14, 1)), Progress{State: Downloaded, Version: "1.0.0", Target: "1.1.0"})
	step("3/1", advance(event(3, 1)), Progress{State: Installed, Version: "1.0.0", Target: "1.1.0"})
	step("ping", p.Runs("1.0.0"), Progress{State: Installed, Version: "1.0.0", Target: "1.1.0"})
	step("reboot", p.Runs("1.1.0"), Progress{State: Complete, Version: "1.1.0", Target: "1.1.0"})
	step("3/2", advance(arrived), Progress{State: Complete, Version: "1.1.0", Target: "1.1.0"})
	step("by hand", p.Runs("0.9.0"), Progress{State: Idle, Version: "0.9.0", Target: "1.1.0"})
	step("no update again", p.Checked(""), Progress{State: Idle, Version: "0.9.0"})
}

func TestVersionsThatForceAnUpdateTellNothing(t *testing.T) {
	for _, p := range []Progress{{State: Installed, Version: "1", Target: "2"}, {State: Complete, Version: "2", Target: "2"}} {
		for _, version := range []string{"", "0.0.0", "0.0.0.0", "ForcedUpdate"} {
			if got := p.Runs(version); got != p {
				t.Errorf("%+v that says %q is %+v", p, version, got)
			}
		}
	}
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
	for _, s := range []State{Installed, Complete, RolledBack, Failed, NeverCameBack} {
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
		{"wrong signature", "1.1.0", omaha.Event{Type: 3, ErrorCode: 12}, Failed, "1.1.0"},
		{"root file system does not verify", "1.1.0", omaha.Event{Type: 3, ErrorCode: 15}, Failed, "1.1.0"},
		{"no code", "1.1.0", omaha.Event{Type: 3}, Failed, "1.1.0"},
		{"names its release", "", omaha.Event{Type: 3, ErrorCode: 44, NextVersion: "1.2.0"}, RolledBack, "1.2.0"},
		{"about no release", "", omaha.Event{Type: 3, ErrorCode: 44}, RolledBack, ""},
		{"about what runs", "1.0.0", omaha.Event{Type: 3, ErrorCode: 44}, RolledBack, ""},
		{"network", "1.1.0", omaha.Event{Type: 3, ErrorCode: 9}, Failed, ""},
		{"overloaded service", "1.1.0", omaha.Event{Type: 3, ErrorCode: 2503}, Failed, ""},
		{"answer that cannot be read", "1.1.0", omaha.Event{Type: 3, ErrorCode: 34}, Failed, ""},
		{"disk does not take it", "1.1.0", omaha.Event{Type: 3, ErrorCode: 14 - 1<<31}, Failed, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, ending := Progress{State: Downloading, Version: "1.0.0", Target: c.target}.Advance(c.event)
			if p.State != c.state || p.Code != c.event.ErrorCode || ending.Version != c.ending || ending.Bad() != (c.ending != "") {
				t.Errorf("got %+v, %+v", p, ending)
			}
			if p.UnderWay() {
				t.Error("the update is still under way")
			}
		})
	}
}

// A delta that failed is no end, whatever its code, and may tell what the offer was that got lost.
func TestADeltaThatWasGivenUp(t *testing.T) {
	for _, code := range []omaha.ErrorCode{0, 1, 10, 15, 44, 10 - 1<<31, 2503} {
		for _, s := range States {
			p, ending := Progress{State: s, Version: "1", Target: "2", Code: 9}.Advance(omaha.Event{Type: 13, Result: 4, ErrorCode: code, NextVersion: "3"})
			if want := (Progress{State: Downloading, Version: "1", Target: "3"}); p != want || ending.Bad() {
				t.Errorf("%s, code %d: got %+v, %+v", s, code, p, ending)
			}
		}
	}
}

func TestARollbackAfterTheReleaseRanIsOneFromThatRelease(t *testing.T) {
	back := Progress{State: Complete, Version: "2", Target: "2"}.Runs("1")
	p, ending := back.Advance(omaha.Event{Type: 3, ErrorCode: 44})
	if p.State != RolledBack || ending.Version != "2" {
		t.Errorf("got %+v, %+v", p, ending)
	}
}

func TestSilence(t *testing.T) {
	const limit = 6 * time.Hour
	for _, s := range States {
		p := Progress{State: s, Version: "1", Target: "2"}
		if got, ending, over := Silent(p, limit, limit); got != p || ending.Bad() || over {
			t.Errorf("%s within the limit: got %+v, %+v", s, got, ending)
		}
		got, ending, over := Silent(p, limit+1, limit)
		if over != p.UnderWay() || got.UnderWay() {
			t.Errorf("%s: over is %v, and it is %s then", s, over, got.State)
		}
		if ending.Bad() != (s == Installed) {
			t.Errorf("%s: ended as %+v", s, ending)
		}
		if !over {
			continue
		}
		back := got.Runs("2")
		if back.State != Complete || !back.Arrived(got) || !back.Arrived(p) {
			t.Errorf("%s: a machine that comes back with its target is %+v", s, back)
		}
		if same := got.Runs("1"); same != got || same.Arrived(got) {
			t.Errorf("%s: a machine that comes back as it was is %+v", s, same)
		}
	}
	_, ending, _ := Silent(Progress{State: Installed, Version: "1", Target: "2"}, day, limit)
	if want := (Ending{"2", NeverCameBack, "never came back: silent for more than 6h when a reboot was due"}); ending != want {
		t.Errorf("got %+v", ending)
	}
}

func TestArrived(t *testing.T) {
	complete := Progress{State: Complete, Version: "2", Target: "2"}
	for before, want := range map[Progress]bool{
		{State: NeverCameBack, Version: "1", Target: "2"}: true,
		{State: Installed, Version: "1", Target: "2"}:     true,
		{State: Complete, Version: "1", Target: "1"}:      true,
		complete: false,
	} {
		if got := complete.Arrived(before); got != want {
			t.Errorf("since %+v: got %v", before, got)
		}
	}
	if (Progress{State: Idle, Version: "2"}).Arrived(Progress{State: Installed, Version: "1", Target: "3"}) {
		t.Error("an idle machine arrived")
	}
}

// Whatever a machine says: a bad end names a release other than what runs, and is never one under way.
func TestEndingsOfAnyEvents(t *testing.T) {
	version := rapid.SampledFrom([]string{"", "0.0.0", "1", "2", "3"})
	rapid.Check(t, func(t *rapid.T) {
		p := Progress{State: Idle, Version: "1"}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			before := p
			var ending Ending
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				p = p.Runs(version.Draw(t, "runs"))
			case 1:
				p = p.Checked(rapid.SampledFrom([]string{"", "2", "3"}).Draw(t, "offer"))
			case 2:
				p, ending = p.Advance(omaha.Event{
					Type:            omaha.EventType(rapid.SampledFrom([]int{3, 3, 13, 14, 1}).Draw(t, "type")),
					Result:          omaha.EventResult(rapid.SampledFrom([]int{0, 1, 2, 4}).Draw(t, "result")),
					ErrorCode:       omaha.ErrorCode(rapid.SampledFrom([]int64{0, 9, 10, 44, 44 - 1<<31, 2404}).Draw(t, "code")),
					PreviousVersion: version.Draw(t, "previous"), NextVersion: version.Draw(t, "next"),
				})
			default:
				p, ending, _ = Silent(p, day, time.Hour)
			}
			if ending.Bad() && (ending.Version == "" || ending.Version == p.Version || ending.State != p.State || p.UnderWay() || ending.Text == "") {
				t.Fatalf("%+v became %+v with %+v", before, p, ending)
			}
			if omaha.Forced(p.Version) || p.Version == "" {
				t.Fatalf("%+v became %+v, which is no version", before, p)
			}
		}
	})
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
	failed := Progress{State: Failed, Version: "1", Target: "2", Code: 10}
	if got, _ := failed.Advance(event(3, 2)); got != failed {
		t.Errorf("the 3/2 of every poll made %+v of a failure", got)
	}
}

func TestJudge(t *testing.T) {
	last := Ending{Version: "1.1.0", State: RolledBack, Text: "rolled back (code 44)"}
	cases := []struct {
		budget          string
		failures, ended int
		reason          string // "" when it goes on
	}{
		{"0", 0, 0, ""},
		{"0", 1, 1, "1 machine of group alpha failed, rolled back or never came back, and its error budget is 0; the last: rolled back (code 44)"},
		{"3", 3, 3, ""},
		{"3", 4, 9000, "4 machines of group alpha"},
		{"2%", 1, 1, ""},
		{"2%", 2, 2, "its error budget is 2% of the 2 that came to an end"},
		{"2%", 2, 149, ""},
		{"2%", 3, 149, "2% of the 149"},
		{"2%", 3, 150, ""},
		{"2%", 3, 199, ""},
		{"2%", 4, 199, "4 machines"},
		{"2%", 200, 10_000, ""},
		{"2%", 201, 10_000, "201 machines"},
		{"0.01%", 1, 10_000_000, ""},
		{"0.01%", 1000, 10_000_000, ""},
		{"0.01%", 1001, 10_000_000, "1001 machines"},
	}
	for _, c := range cases {
		reason, halt := Judge("alpha", must(ParseBudget(c.budget)), c.failures, c.ended, last)
		if halt != (c.reason != "") || !strings.Contains(reason, c.reason) {
			t.Errorf("%+v: got %v %q", c, halt, reason)
		}
	}
}
