package rollout

import (
	"conifer.dev/conifer/internal/wire/omaha"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/release"
)

var (
	genVersion = rapid.StringMatching(`[0-3]\.[0-3](\.[0-3]){0,2}((~rc|\+nightly-)[0-3])?`)
	genText    = rapid.SampledFrom([]string{"", "", "", "reason"})
	genPercent = rapid.SampledFrom([]string{"0", "1", "25", "99.99", "100", "50/7d", "100/36h", "canary:1:24h,early:10:48h,all:100"})
	genFeature = rapid.SampledFrom([]string{"delta-1", "delta-2"})
	genWindows = rapid.SliceOfN(rapid.SampledFrom([]string{"0 22 * * 1-5; 4h; Europe/Berlin", "@daily; 12h", "*/10 * * * *; 5m"}), 0, 2)
)

// world makes releases whose facts are the same wherever they turn up.
type world struct {
	t    *rapid.T
	seen map[string]Release
	runs string // what the machine says it runs
}

func (w *world) release(label string) Release {
	version := genVersion.Draw(w.t, label)
	r, ok := w.seen[version]
	if !ok {
		r = Release{Version: version, DeadEnd: genText.Draw(w.t, "dead end"), Floor: genText.Draw(w.t, "floor")}
		if rapid.IntRange(0, 3).Draw(w.t, "halted") == 0 {
			r.Halt = halted()
		}
		for _, from := range rapid.SliceOfNDistinct(rapid.OneOf(genVersion, rapid.Just(w.runs)), 0, 2, rapid.ID).Draw(w.t, "deltas") {
			r.Deltas = append(r.Deltas, Payload{From: from, Features: rapid.SliceOfN(genFeature, 0, 2).Draw(w.t, "features")})
		}
		w.seen[version] = r
	}
	return r
}

func (w *world) rollouts() (all []Release) {
	for i := range rapid.IntRange(0, 3).Draw(w.t, "rollouts") {
		r := w.release("rollout")
		r.Started = noon.Add(-time.Duration(rapid.IntRange(-10, 200).Draw(w.t, "age")) * time.Hour)
		r.Emergency = rapid.IntRange(0, 4).Draw(w.t, "emergency") == 0
		if i > 0 {
			r.Stopped, r.Reached = true, rapid.IntRange(0, whole).Draw(w.t, "reached")
		}
		all = append(all, r)
	}
	return all
}

func (w *world) machine() Machine {
	m := Machine{
		ID:      rapid.StringMatching(`[0-9a-f]{0,4}`).Draw(w.t, "id"),
		Version: rapid.OneOf(genVersion, rapid.SampledFrom([]string{"", "0.0.0", "ForcedUpdate"})).Draw(w.t, "runs"),
		Arch:    rapid.SampledFrom([]string{"amd64", "amd64", "amd64", ""}).Draw(w.t, "arch"), Payloads: strings.Join(rapid.SliceOfN(genFeature, 0, 3).Draw(w.t, "payloads"), " "),
		Manual: rapid.Bool().Draw(w.t, "manual"), HasWariness: rapid.Bool().Draw(w.t, "has wariness"),
		Wariness: rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -3, 7})).Draw(w.t, "wariness"),
	}
	m.Forced, w.runs = omaha.Forced(m.Version), m.Version
	return m
}

func (w *world) pin() *Pin {
	p := Pin{Of: "machine", Downgrade: rapid.Bool().Draw(w.t, "downgrade")}
	switch rapid.IntRange(0, 4).Draw(w.t, "pin") {
	case 0:
		p.Version = "9.9"
	case 1:
		r := w.release("pinned")
		p.Version, p.Release = r.Version, &r
	default:
		return nil
	}
	return &p
}

func (w *world) group() *Group {
	if rapid.IntRange(0, 9).Draw(w.t, "no group") == 0 {
		return nil
	}
	g := Group{Name: "alpha", Channel: "stable", Paused: rapid.IntRange(0, 4).Draw(w.t, "paused") == 0}
	g.Policy = policy(func(p *PolicyText) {
		p.Percent, p.Windows = genPercent.Draw(w.t, "percent"), genWindows.Draw(w.t, "windows")
	})
	return &g
}

func genCase(t *rapid.T) *Case {
	w := &world{t: t, seen: map[string]Release{}}
	c := &Case{
		Now: noon.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour), App: "os", AppKnown: rapid.IntRange(0, 9).Draw(t, "known") > 0,
		Machine: w.machine(), Group: w.group(), Releases: w.rollouts(), Pin: w.pin(),
		Place: rapid.SampledFrom([]Place{{}, {}, {Limited: true}, {Limited: true, Full: "full"}, {Limited: true, Held: "1.1.1"}}).Draw(t, "place"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "floors") {
		f := w.release("floor")
		f.Floor = "reason"
		c.Floors = append(c.Floors, f)
	}
	if r := w.release("running"); rapid.Bool().Draw(t, "runs a known release") {
		c.Running = &r
		if !c.Machine.Forced {
			c.Machine.Version = r.Version
		}
	}
	if rapid.Bool().Draw(t, "barred") {
		c.Bars = map[string]string{genVersion.Draw(t, "bar"): "failed"}
	}
	return c
}

func TestTheMachineIsToldWhatIsExplained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCase(t)
		same(t, c)
		if diff := cmp.Diff(Explain(c), Explain(c)); diff != "" {
			t.Fatalf("the same case was answered twice, differently: %s", diff)
		}
		for _, r := range Explain(c).Reasons {
			if r.Text == "" || r.Rule == "" {
				t.Fatalf("%+v says nothing", r)
			}
		}
	})
}

// facts of a release in the case, wherever it is.
func (c *Case) facts(version string) (all []Release) {
	for _, list := range [][]Release{c.Releases, c.Floors} {
		for _, r := range list {
			if r.Version == version {
				all = append(all, r)
			}
		}
	}
	if c.Pin != nil && c.Pin.Version == version && c.Pin.Release != nil {
		all = append(all, *c.Pin.Release)
	}
	return all
}

func TestWhatIsNeverOffered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCase(t)
		a := Offer(c)
		if a.Version == "" {
			return
		}
		for _, r := range c.facts(a.Version) {
			if r.Halt != nil {
				t.Fatalf("halted release %s was offered", a.Version)
			}
			if r.DeadEnd != "" && (c.Pin == nil || c.Pin.Version != a.Version) {
				t.Fatalf("dead end %s was offered", a.Version)
			}
		}
		downgrade := c.Machine.Forced || c.Pin != nil && c.Pin.Downgrade
		switch {
		case c.Group.Paused, c.Bars[a.Version] != "", c.Running != nil && c.Running.DeadEnd != "":
			t.Fatalf("%s was offered in spite of a pause, a bar or a dead end: %+v", a.Version, c)
		case !downgrade && release.Compare(c.Machine.Version, a.Version) >= 0:
			t.Fatalf("%s was offered to a machine that runs %s", a.Version, c.Machine.Version)
		case a.NeedsPlace && (c.Machine.ID == "" || c.Place.Full != ""):
			t.Fatalf("a place is needed that cannot be had: %+v, %+v", c.Machine, c.Place)
		}
		for _, f := range c.Floors {
			if release.Compare(f.Version, c.runs()) > 0 && release.Compare(f.Version, a.Version) < 0 {
				t.Fatalf("floor %s between %q and %s was skipped", f.Version, c.runs(), a.Version)
			}
		}
	})
}

// A halt takes away only what is halted: every other release that was offered stays so, and the order of the floors
// does not matter.
func TestHaltsAndTheOrderOfFloors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCase(t)
		before := Offer(c)
		c.Floors = rapid.Permutation(c.Floors).Draw(t, "floors")
		if after := Offer(c); after != before {
			t.Fatalf("got %+v, and %+v with the floors in another order", before, after)
		}
		if len(c.Releases) == 0 || c.Pin != nil {
			return
		}
		c.Releases[0].Halt = halted()
		rest := *c
		rest.Releases = c.Releases[1:]
		if got, want := Offer(c).Version, Offer(&rest).Version; got != want {
			t.Fatalf("with the newest release halted got %q, without it %q", got, want)
		}
	})
}

// With one release, more percent or more time never takes an offer away.
func TestOffersGrowWithPercentAndTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCase(t)
		if len(c.Releases) == 0 || c.Group == nil {
			return
		}
		c.Releases, c.Group.Policy.Windows = c.Releases[:1], nil
		share := rapid.IntRange(0, whole).Draw(t, "share")
		c.Group.Policy.Plan = must(ParsePlan(formatShare(share)))
		before := Offer(c)
		c.Group.Policy.Plan = must(ParsePlan(formatShare(rapid.IntRange(share, whole).Draw(t, "more"))))
		if after := Offer(c); before.Version != "" && after != before {
			t.Fatalf("got %+v, and with more percent %+v", before, after)
		}
		c.Group.Policy = percentOf(genPercent.Draw(t, "plan"))
		before = Offer(c)
		c.Now = c.Now.Add(time.Duration(rapid.Int64Range(0, int64(30*day)).Draw(t, "later")))
		if after := Offer(c); before.Version != "" && after != before {
			t.Fatalf("got %+v, and later %+v", before, after)
		}
	})
}

func genPlan(t *rapid.T) Plan {
	share := func(from int) int { return rapid.IntRange(from, whole).Draw(t, "share") }
	length := func() string { return fmt.Sprintf("%ds", rapid.IntRange(1, 1_000_000).Draw(t, "length")) }
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return must(ParsePlan(formatShare(share(0))))
	case 1:
		return must(ParsePlan(formatShare(share(0)) + "/" + length()))
	}
	reached, text := share(0), ""
	for i := 0; reached < whole && rapid.Bool().Draw(t, "another"); i++ {
		text += fmt.Sprintf("phase-%d:%s:%s,", i, formatShare(reached), length())
		reached = share(reached + 1)
		if i == maxPhases-2 {
			break
		}
	}
	return must(ParsePlan(text + "last:" + formatShare(reached)))
}

func TestPlansNeverFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := genPlan(t)
		early := time.Duration(rapid.Int64Range(-int64(day), math.MaxInt64/2).Draw(t, "early"))
		if rapid.Bool().Draw(t, "soon") {
			early %= time.Duration(1_000_000 * time.Second)
		}
		later := early + time.Duration(rapid.Int64Range(0, int64(30*day)).Draw(t, "later"))
		from, to := p.Reached(early), p.Reached(later)
		if from < 0 || from > to || to > whole {
			t.Fatalf("%s reached %d after %s and %d after %s", p, from, early, to, later)
		}
		if again := must(ParsePlan(p.String())); again.String() != p.String() || again.Reached(early) != from || again.Phase(early) != p.Phase(early) {
			t.Fatalf("%s is read as %s", p, again)
		}
		g := Group{Policy: Policy{Plan: p}}
		stopped := Release{Started: noon, Stopped: true, Reached: from}
		if g.Reached(&stopped, noon.Add(later)) != from {
			t.Fatalf("a stopped rollout went on from %d", from)
		}
	})
}
