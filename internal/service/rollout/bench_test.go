package rollout

import (
	"testing"
	"time"
)

// polls are the cases that most polls are, and the dearest ones.
var polls = []struct {
	name   string
	change func(*Case)
}{
	{"up to date", func(c *Case) { c.Machine.Version = "1.2.0" }},
	{"not yet", func(c *Case) { c.one(); c.Group.Policy = percentOf("100/20d") }},
	{"offered", func(c *Case) { c.Group.Policy = percentOf("99") }},
	{"offered the fourth with floors, bars, a window and a place", func(c *Case) {
		c.Releases = nil
		for _, v := range []string{"1.5.0", "1.4.0", "1.3.0", "1.2.0"} {
			c.Releases = append(c.Releases, Release{Version: v, Started: noon, Stopped: v != "1.5.0", Reached: 1})
		}
		c.Releases[3].Reached = whole
		c.floors("0.8.0", "0.9.0", "1.1.8")
		c.Bars = map[string]string{"1.4.0": "failed"}
		c.Group.Policy = policy(func(t *PolicyText) {
			t.Percent, t.Windows = "canary:1:24h,early:10:48h,all:100", []string{"0 22 * * 1-5; 4h; Europe/Berlin"}
		})
		c.Now, c.Place.Limited = noon.Add(10*time.Hour), true
	}},
	{"outside a window that opens once in four years", func(c *Case) {
		c.Group.Policy.Windows = []Window{must(ParseWindow("0 0 29 2 *; 4h; Europe/Berlin"))}
	}},
}

func BenchmarkOffer(b *testing.B) {
	for _, poll := range polls {
		b.Run(poll.name, func(b *testing.B) {
			c := sample(poll.change)
			b.ReportAllocs()
			for b.Loop() {
				Offer(c)
			}
		})
	}
}

func TestOfferAllocatesNothing(t *testing.T) {
	for _, poll := range polls {
		c := sample(poll.change)
		if got := testing.AllocsPerRun(100, func() { Offer(c) }); got != 0 {
			t.Errorf("%s: %v allocations", poll.name, got)
		}
	}
}
