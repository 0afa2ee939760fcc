package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every host

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

// parsers by the part that they read, each giving the canonical text.
var parsers = map[string]func(string) (string, error){
	"percent": func(s string) (string, error) { p, err := ParsePlan(s); return p.String(), err },
	"rate":    func(s string) (string, error) { r, err := ParseRate(s); return r.String(), err },
	"budget":  func(s string) (string, error) { b, err := ParseBudget(s); return b.String(), err },
	"window": func(s string) (string, error) {
		w, err := ParseWindow(s)
		if err != nil {
			return "", err
		}
		return w.String(), nil
	},
	"duration": func(s string) (string, error) { d, err := ParseDuration(s); return FormatDuration(d), err },
}

func TestTexts(t *testing.T) {
	cases := []struct{ part, text, canonical string }{
		{"percent", "0", "0"}, {"percent", "25", "25"}, {"percent", "100.00", "100"}, {"percent", "0.5", "0.5"},
		{"percent", "0.05", "0.05"}, {"percent", "12.50", "12.5"}, {"percent", "007", "7"},
		{"percent", "100/7d", "100/7d"}, {"percent", "50/1w", "50/7d"}, {"percent", "99.99/90m", "99.99/90m"},
		{"percent", "canary:1:24h,early:10:48h,all:100", "canary:1:24h,early:10:48h,all:100"},
		{"percent", "canary:1:1d,all:100", "canary:1:24h,all:100"}, {"percent", "some:10", "some:10"},
		{"rate", "", ""}, {"rate", "1000/15m", "1000/15m"}, {"rate", "1/1d", "1/24h"},
		{"budget", "0", "0"}, {"budget", "3", "3"}, {"budget", "2%", "2%"}, {"budget", "0.50%", "0.5%"},
		{"window", "0 22 * * 1-5; 4h; Europe/Berlin", "0 22 * * 1-5; 4h; Europe/Berlin"},
		{"window", " 0   22 * * MON-FRI;4h;UTC ", "0 22 * * MON-FRI; 4h"}, {"window", "@daily;90m", "@daily; 90m"},
		{"window", "0 0 29 2 *; 1d", "0 0 29 2 *; 24h"},
		{"duration", "0s", "0s"}, {"duration", "90s", "90s"}, {"duration", "120s", "2m"}, {"duration", "36h", "36h"},
		{"duration", "2d", "48h"}, {"duration", "72h", "3d"}, {"duration", "7d", "7d"}, {"duration", "2w", "14d"},
		{"duration", "1w2d3h4m5s", "788645s"},
	}
	for _, c := range cases {
		got, err := parsers[c.part](c.text)
		if err != nil || got != c.canonical {
			t.Errorf("%s %q: got %q, %v", c.part, c.text, got, err)
		}
		if again, err := parsers[c.part](got); err != nil || again != got {
			t.Errorf("%s %q comes back as %q, %v", c.part, got, again, err)
		}
	}
}

func TestWrongTexts(t *testing.T) {
	cases := []struct{ part, text, wrong string }{
		{"percent", "", "number of percent"}, {"percent", "101", "from 0 to 100"}, {"percent", "-1", "number of percent"},
		{"percent", "25%", "no sign after it"}, {"percent", "1.234", "two decimals"}, {"percent", "1.", "decimals"},
		{"percent", ".5", "number of percent"}, {"percent", "+5", "number of percent"}, {"percent", "9223372036854775808", "number"},
		{"percent", "100/", "no duration"}, {"percent", "100/7", "one of the units"}, {"percent", "100/0s", "time is 0"},
		{"percent", "100/11y", "units"}, {"percent", "100/600w", "ten years"}, {"percent", "100/99999999999999999999h", "whole numbers"},
		{"percent", "a:1:1h", "last phase, a, does not end"}, {"percent", "a:1,b:2", "phase a is not name, percent and duration"},
		{"percent", "a:5:1h,b:5", "b does not reach more"}, {"percent", "a:1:1h,a:5", "a is there twice"},
		{"percent", "A:1:1h,b:5", "small letters"}, {"percent", ":1:1h,b:5", "small letters"}, {"percent", "a:1:0h,b:5", "a lasts no time"},
		{"percent", strings.Repeat("a:1:1h,", 20) + "b:5", "more than 20 phases"},
		{"rate", "1000", "no duration"}, {"rate", "0/15m", "from 1"}, {"rate", "-5/15m", "from 1"}, {"rate", "5/0s", "period is 0"},
		{"rate", "15m", "from 1"}, {"rate", "1000000001/15m", "from 1"},
		{"budget", "", "from 0"}, {"budget", "-1", "from 0"}, {"budget", "0%", "written as 0"}, {"budget", "101%", "from 0 to 100"},
		{"budget", "+3", "from 0"}, {"budget", "%", "number of percent"},
		{"window", "", "not schedule; duration; time zone"}, {"window", "0 22 * * *", "not schedule; duration; time zone"},
		{"window", "0 22 * *; 4h", "expected exactly 5 fields"}, {"window", "0 22 * * 7; 4h", "above maximum"},
		{"window", "0 22 * * *; 4", "one of the units"}, {"window", "0 22 * * *; 59s", "open for less than 1m"},
		{"window", "0 22 * * *; 4h; Nowhere", "unknown time zone Nowhere"}, {"window", "0 22 * * *; 4h; Local", "IANA"},
		{"window", "0 22 * * *; 4h; ", "IANA"}, {"window", "0 22 * * *; 4h; ../x", "time zone"},
		{"window", "0 0 30 2 *; 4h", "never opens"}, {"window", ", , , , ,; 4h", "never opens"},
		{"window", "@every 1h; 10m", "neither five fields"}, {"window", "TZ=UTC; 10m", "neither five fields"},
		{"window", "CRON_TZ=UTC 0 22 * * *; 10m", "neither five fields"}, {"window", "@reboot; 10m", "unrecognized"},
		{"window", strings.Repeat("0,", 200) + "0 22 * * *; 4h", "longer than 200 bytes"},
		{"duration", "", "no duration"}, {"duration", "5", "units"}, {"duration", "1.5h", "units"}, {"duration", "1h1d", "in this order"},
		{"duration", "1h1h", "each once"}, {"duration", "-1h", "whole numbers"}, {"duration", "1ms", "whole numbers"},
	}
	for _, c := range cases {
		_, err := parsers[c.part](c.text)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s %q: got %v", c.part, c.text, err)
			continue
		}
		shown := fmt.Sprintf("%q", c.text)
		shown = shown[:min(len(shown)-1, 100)]
		if message := err.Error(); !strings.Contains(message, c.wrong) || !strings.Contains(message, shown) || !strings.HasPrefix(fault.HintOf(err), "Write it like ") {
			t.Errorf("%s %q: got %q, hint %q", c.part, c.text, message, fault.HintOf(err))
		}
	}
}

// What the hints tell people to write is right.
func TestExamplesAreRight(t *testing.T) {
	for part, examples := range map[string][]string{
		"percent": {"25", "100/7d", "canary:1:24h,early:10:48h,all:100"}, "rate": {"1000/15m"}, "budget": {"3", "2%"},
		"window": {"0 22 * * 1-5; 4h; Europe/Berlin"}, "duration": {"15m", "36h", "7d", "2w", "1d12h"},
	} {
		_, err := parsers[part]("wrong")
		for _, example := range examples {
			if _, wrong := parsers[part](example); wrong != nil || !strings.Contains(fault.HintOf(err), example) {
				t.Errorf("%s: %q is not in %q, or wrong: %v", part, example, fault.HintOf(err), wrong)
			}
		}
	}
}

func TestPolicies(t *testing.T) {
	defaults := must(ParsePolicy(PolicyText{}))
	if diff := cmp.Diff(PolicyText{Percent: "100", ErrorBudget: "0", SilentAfter: "6h"}, defaults.Text()); diff != "" {
		t.Error(diff)
	}
	whole := PolicyText{
		Percent: "100/7d", MaxPerPeriod: "1000/15m", MaxAtOnce: 50, ErrorBudget: "2%",
		Windows: []string{"0 22 * * 1-5; 4h; Europe/Berlin", "@weekly; 24h"}, SilentAfter: "36h",
	}
	if diff := cmp.Diff(whole, must(ParsePolicy(whole)).Text()); diff != "" {
		t.Error(diff)
	}
	for part, wrong := range map[string]PolicyText{
		"percent": {Percent: "x"}, "max per period": {MaxPerPeriod: "x"}, "max at once": {MaxAtOnce: -1}, "error budget": {ErrorBudget: "x"},
		"window": {Windows: []string{"x"}}, "silent after": {SilentAfter: "0s"}, `window "x": there are more`: {Windows: strings.Split(strings.Repeat("@daily; 1h,", 20)+"x", ",")},
	} {
		if _, err := ParsePolicy(wrong); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), part) || fault.HintOf(err) == "" {
			t.Errorf("%s: got %v", part, err)
		}
	}
}

func TestPlans(t *testing.T) {
	const phases = "canary:1:24h,early:10:48h,all:100"
	cases := []struct {
		plan    string
		elapsed time.Duration
		reached int
		phase   string
	}{
		{"25", -time.Hour, 2500, ""}, {"25", 9 * week, 2500, ""},
		{"100/7d", -time.Hour, 0, ""}, {"100/7d", 0, 0, ""}, {"100/7d", 84 * time.Hour, 5000, ""}, {"100/7d", 7 * day, whole, ""},
		{"100/7d", 7*day - 1, whole - 1, ""}, {"50/10s", 1 << 62, 5000, ""}, {"100/520w", 260 * week, 5000, ""},
		{phases, 0, 100, "canary"}, {phases, day - 1, 100, "canary"}, {phases, day, 1000, "early"},
		{phases, 3*day - 1, 1000, "early"}, {phases, 3 * day, whole, "all"}, {phases, 1 << 62, whole, "all"},
	}
	for _, c := range cases {
		p := must(ParsePlan(c.plan))
		if got, phase := p.Reached(c.elapsed), p.Phase(c.elapsed); got != c.reached || phase != c.phase {
			t.Errorf("%s after %s: got %d, %q", c.plan, c.elapsed, got, phase)
		}
	}
	if nobody := (Plan{}); nobody.Reached(day) != 0 || nobody.Phase(day) != "" || nobody.String() != "0" {
		t.Error("the zero plan reaches somebody")
	}
}

func TestHowFarARolloutHasCome(t *testing.T) {
	g := Group{Policy: percentOf("100/4d")}
	paused := Group{Policy: g.Policy, Paused: true, PausedAt: noon.Add(day)}
	cases := []struct {
		name    string
		group   Group
		release Release
		reached int
	}{
		{"going on", g, Release{Started: noon}, 5000},
		{"begins later", g, Release{Started: noon.Add(3 * day)}, 0},
		{"stopped", g, Release{Started: noon, Stopped: true, Reached: 1234}, 1234},
		{"paused after a day", paused, Release{Started: noon}, 2500},
		{"begun in a pause", paused, Release{Started: noon.Add(36 * time.Hour)}, 0},
		{"to be paused tomorrow", Group{Policy: g.Policy, Paused: true, PausedAt: noon.Add(3 * day)}, Release{Started: noon}, 5000},
		{"an emergency", g, Release{Started: noon, Emergency: true}, whole},
	}
	for _, c := range cases {
		if got := c.group.Reached(&c.release, noon.Add(2*day)); got != c.reached {
			t.Errorf("%s: got %d", c.name, got)
		}
	}
}

func TestWindows(t *testing.T) {
	const berlin, apia, saoPaulo = "; Europe/Berlin", "; Pacific/Apia", "; America/Sao_Paulo"
	cases := []struct {
		window string
		at     string // UTC
		open   bool
		next   string
	}{
		{"0 22 * * 1-5; 4h" + berlin, "2026-11-04T20:59:59Z", false, "2026-11-04T21:00:00Z"},
		{"0 22 * * 1-5; 4h" + berlin, "2026-11-04T21:00:00Z", true, "2026-11-05T21:00:00Z"},
		{"0 22 * * 1-5; 4h" + berlin, "2026-11-05T00:59:59.999999999Z", true, "2026-11-05T21:00:00Z"},
		{"0 22 * * 1-5; 4h" + berlin, "2026-11-05T01:00:00Z", false, "2026-11-05T21:00:00Z"},
		{"0 22 * * 1-5; 4h" + berlin, "2026-07-01T19:59:59Z", false, "2026-07-01T20:00:00Z"}, // summer
		{"0 22 * * 1-5; 4h", "2026-11-07T00:30:00Z", true, "2026-11-09T22:00:00Z"},           // Friday's, on Saturday
		{"*/30 * * * *; 30m", "2026-11-04T20:59:59Z", true, "2026-11-04T21:00:00Z"},          // always
		{"@weekly; 8d", "2026-11-04T20:59:59Z", true, "2026-11-08T00:00:00Z"},                // always, overlapping
		{"0 0 29 2 *; 24h", "2026-11-04T00:00:00Z", false, "2028-02-29T00:00:00Z"},
		// Clocks in Berlin skip from 02:00 to 03:00 on 2026-03-29 at 01:00Z, and go back from 03:00 to 02:00 on 2026-10-25 at 01:00Z.
		{"30 2 * * *; 2h" + berlin, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z"}, // skipped: at that moment
		{"30 2 * * *; 2h" + berlin, "2026-03-29T01:00:00Z", true, "2026-03-30T00:30:00Z"},
		{"30 2 * * *; 2h" + berlin, "2026-03-29T03:00:00Z", false, "2026-03-30T00:30:00Z"},
		{"0 22 * * *; 8h" + berlin, "2026-03-29T04:59:59Z", true, "2026-03-29T20:00:00Z"},   // eight hours, across the change
		{"30 2 * * *; 30m" + berlin, "2026-10-25T00:29:59Z", false, "2026-10-25T00:30:00Z"}, // shown twice: the first time
		{"30 2 * * *; 30m" + berlin, "2026-10-25T00:30:00Z", true, "2026-10-26T01:30:00Z"},
		{"30 2 * * *; 30m" + berlin, "2026-10-25T01:30:00Z", false, "2026-10-26T01:30:00Z"},
		{"*/20 * * * *; 5m" + berlin, "2026-10-25T00:50:00Z", false, "2026-10-25T02:00:00Z"}, // and not the second time
		// Apia skipped the whole of 2011-12-30 at 10:00Z, and Sao Paulo a midnight on 2018-11-04 at 03:00Z.
		{"0 12 30 12 *; 1h" + apia, "2011-12-30T09:59:59Z", false, "2011-12-30T10:00:00Z"},
		{"0 12 * * *; 1h" + apia, "2011-12-30T10:30:00Z", true, "2011-12-30T22:00:00Z"},
		{"@daily; 1h" + saoPaulo, "2018-11-04T02:59:59Z", false, "2018-11-04T03:00:00Z"},
	}
	for _, c := range cases {
		w, at := must(ParseWindow(c.window)), must(time.Parse(time.RFC3339Nano, c.at))
		if got, next := w.Open(at), w.Next(at).UTC().Format(time.RFC3339Nano); got != c.open || next != c.next {
			t.Errorf("%s at %s: open is %v, and it opens at %s, want %s", c.window, c.at, got, next, c.next)
		}
	}
	if none := (Window{}); none.Open(noon) || !none.Next(noon).IsZero() {
		t.Error("the zero window opens")
	}
}

func TestTheNextOfSomeWindows(t *testing.T) {
	windows := []Window{nights, must(ParseWindow("0 18 * * *; 1h")), must(ParseWindow("@weekly; 1h"))}
	if got := NextOpen(windows, noon); !got.Equal(noon.Add(6 * time.Hour)) {
		t.Errorf("got %s", got)
	}
	if !NextOpen(nil, noon).IsZero() {
		t.Error("no window opens")
	}
}

// A window is open for its duration from each opening on, and at no other time, wherever the clocks are changed.
func TestWindowsAreOpenFromTheirOpenings(t *testing.T) {
	zones := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"})
	schedules := rapid.SampledFrom([]string{"0 22 * * 1-5", "30 2 * * *", "15 1,2,3 * * *", "*/25 * * * *", "@daily", "0 3 28-31 * *"})
	rapid.Check(t, func(t *rapid.T) {
		w := must(ParseWindow(fmt.Sprintf("%s; %dm; %s", schedules.Draw(t, "schedule"), rapid.IntRange(1, 600).Draw(t, "minutes"), zones.Draw(t, "zone"))))
		now := time.Unix(rapid.Int64Range(1_300_000_000, 2_000_000_000).Draw(t, "now"), 0)
		at := w.Next(now)
		if !at.After(now) || !w.Open(at) || !w.Open(at.Add(w.open-1)) {
			t.Fatalf("%s opens at %s, after %s, and is closed then", w, at, now)
		}
		if next := w.Next(at); !next.After(at) || next.Sub(at) > w.open && w.Open(at.Add(w.open)) {
			t.Fatalf("%s opens at %s, next at %s, and is open in between", w, at, next)
		}
	})
}
