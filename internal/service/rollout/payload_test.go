package rollout

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withDeltas gives every release a full payload and deltas: from 1.0.0 for machines that know delta-1 and delta-2, from 1.0.5 for
// those that know delta-1.
func withDeltas(c *Case) {
	pair := []Payload{
		{File: "from-1.0.0.payload", SizeBytes: 8, From: "1.0.0", Features: []string{"delta-1", "delta-2"}},
		{File: "from-1.0.5.payload", SizeBytes: 7, From: "1.0.5", Features: []string{"delta-1"}},
	}
	for i := range c.Releases {
		c.Releases[i].Full, c.Releases[i].Deltas = Payload{File: "full.payload", SizeBytes: 150}, pair
	}
}

func TestPayloadOfAnOffer(t *testing.T) {
	cases := []struct {
		name     string
		payloads string
		change   func(*Case)
		from     string
	}{
		{"it says nothing", "", func(*Case) {}, ""},
		{"it knows all", "delta-1 delta-2", func(*Case) {}, "1.0.0"},
		{"it knows more", "sparse-9 delta-2\n delta-1", func(*Case) {}, "1.0.0"},
		{"it knows one of two", "delta-1", func(*Case) {}, ""},
		{"it knows the one", "delta-1", func(c *Case) { c.Machine.Version = "1.0.5" }, "1.0.5"},
		{"it knows others", "delta-10 delta", func(c *Case) { c.Machine.Version = "1.0.5" }, ""},
		{"no delta from what it runs", "delta-1 delta-2", func(c *Case) { c.Machine.Version = "1.0.4" }, ""},
		{"the same number in another spelling", "delta-1 delta-2", func(c *Case) { c.Machine.Version = "1.0.0.0" }, ""},
		{"forced", "delta-1 delta-2", func(c *Case) { c.Machine.Version, c.Machine.Forced = "0.0.0", true }, ""},
		{"forced, with what looks like a delta", "delta-1", func(c *Case) {
			c.Machine.Version, c.Machine.Forced = "0.0.0", true
			c.Releases[0].Deltas = []Payload{{From: "0.0.0", Features: []string{"delta-1"}}}
		}, ""},
		{"a delta without features still needs a machine that says something", "", func(c *Case) { c.Releases[0].Deltas = []Payload{{From: "1.0.0"}} }, ""},
		{"nothing is offered", "delta-1 delta-2", func(c *Case) { c.Group.Paused = true }, ""},
		{"the earlier release is offered, which has none", "delta-1 delta-2", func(c *Case) {
			c.Releases[0].Halt, c.Releases[1].Deltas = halted(), nil
		}, ""},
		{"the earlier release is offered, which has one", "delta-1 delta-2", func(c *Case) {
			c.Releases[0].Halt, c.Releases[0].Deltas = halted(), nil
		}, "1.0.0"},
		{"a floor is offered, which has none", "delta-1 delta-2", func(c *Case) { c.floors("1.1.7") }, ""},
		{"a floor is offered, which has one", "delta-1", func(c *Case) {
			c.floors("1.1.7")
			c.Floors[0].Deltas = []Payload{{From: "1.0.0", Features: []string{"delta-1"}}}
		}, "1.0.0"},
		{"a pin back", "delta-1", func(c *Case) {
			c.pin(Pin{Downgrade: true, Release: &Release{Version: "0.9.0", Deltas: []Payload{{From: "1.0.0", Features: []string{"delta-1"}}}}})
		}, "1.0.0"},
		{"under a limit", "delta-1 delta-2", func(c *Case) { c.Place = Place{Limited: true} }, "1.0.0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			about := sample(withDeltas)
			about.Machine.Payloads = c.payloads
			c.change(about)
			if got := Offer(about); got.From != c.from {
				t.Errorf("got %+v", got)
			}
			same(t, about)
			if got := testing.AllocsPerRun(10, func() { Offer(about) }); got != 0 {
				t.Errorf("%v allocations", got)
			}
		})
	}
}

// wantedFrom is what the delta that the machine must be offered is from, found in another way than the rule does.
func (c *Case) wantedFrom(version string) string {
	words := strings.Fields(c.Machine.Payloads)
	for _, r := range c.facts(version) {
		for _, d := range r.Deltas {
			lacks := slices.ContainsFunc(d.Features, func(f string) bool { return !slices.Contains(words, f) })
			if d.From == c.Machine.Version && !c.Machine.Forced && len(words) > 0 && !lacks {
				return d.From
			}
		}
	}
	return ""
}

func TestPayloadsAreExplained(t *testing.T) {
	explain := func(change func(*Case)) []string {
		c := sample(withDeltas)
		change(c)
		var told []string
		for _, choice := range Explain(c).Payloads {
			told = append(told, choice.File+": "+choice.Text)
		}
		return told
	}
	for name, c := range map[string]struct {
		change func(*Case)
		want   []string
	}{
		"a delta": {func(*Case) {}, []string{
			"from-1.0.0.payload: the delta from 1.0.0, when the machine says in its request that it knows delta-1 delta-2",
			"full.payload: the full payload, when the machine does not say that, as after a delta to this release failed on it",
		}},
		"no delta": {func(c *Case) { c.Machine.Version = "1.0.4" }, []string{`full.payload: the full payload, because release 1.2.0 has no delta from "1.0.4"`}},
		"forced": {func(c *Case) { c.Machine.Version, c.Machine.Forced = "0.0.0", true }, []string{
			"full.payload: the full payload, because the machine says that it runs 0.0.0, which no delta is from",
		}},
		"no update": {func(c *Case) { c.Group.Paused = true }, nil},
	} {
		if diff := cmp.Diff(c.want, explain(c.change)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
