package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
)

// measuredRow is a row with a cost, as if it had been measured once.
func measuredRow(name string, known int, cost time.Duration, perSecond float64, offered int) outcome {
	const requests = 1000
	return outcome{rowNamed(name), known, []load.Result{{
		Elapsed: time.Second, Requests: requests, PerSecond: perSecond, Offered: offered, CPU: map[string]time.Duration{"server": cost * requests},
	}}}
}

// again is a row that was measured several times.
func again(turns ...outcome) outcome {
	all := turns[0]
	for _, o := range turns[1:] {
		all.turns = append(all.turns, o.turns...)
	}
	return all
}

func TestTheMedianOfTheTurnsCounts(t *testing.T) {
	turn := func(known int, cost time.Duration) outcome {
		return measuredRow("idle", known, cost*time.Microsecond, 20_000, 0)
	}
	few, many := again(turn(9, 90), turn(9, 40), turn(9, 30)), again(turn(99, 44), turn(99, 10), turn(99, 50))
	if got := few.cost(); got != "40.0 µs (30.0 µs to 90.0 µs)" {
		t.Errorf("got %q", got)
	}
	if got := (report{ours: []outcome{few, many}}).growth("idle"); got != 1.1 {
		t.Errorf("the largest costs %v times the smallest, want 1.1", got)
	}
}

func TestShortfalls(t *testing.T) {
	tests := map[string]struct {
		report report
		want   string // part of the only shortfall; "" for none
	}{
		"all is well": {report{ours: []outcome{
			measuredRow("idle", 100_000, 40*time.Microsecond, 20_000, 0), measuredRow("idle", 1_000_000, 44*time.Microsecond, 20_000, 0),
			measuredRow("limit-10", 100_000, 40*time.Microsecond, 20_000, 10), measuredRow("first", 100_000, 40*time.Microsecond, 20_000, 0),
		}}, ""},
		"too dear":     {report{ours: []outcome{measuredRow("all", 100_000, 60*time.Microsecond, 1, 0)}}, "60.0 µs of CPU"},
		"one too many": {report{ours: []outcome{measuredRow("limit-10", 100_000, time.Microsecond, 1, 11)}}, "11 machines were offered an update, to be 10"},
		"once one too many": {report{ours: []outcome{again(measuredRow("limit-10", 100_000, 1, 1, 10), measuredRow("limit-10", 100_000, 2, 1, 11))}},
			"11 machines were offered an update, to be 10"},
		"one too few":     {report{ours: []outcome{measuredRow("limit-1000", 100_000, time.Microsecond, 1, 999)}}, "999 machines"},
		"slow first":      {report{ours: []outcome{measuredRow("first", 100_000, time.Microsecond, 19_000, 0)}}, "19,000 in a second"},
		"grows":           {report{ours: []outcome{measuredRow("first", 1, 10, 2e4, 0), measuredRow("first", 9, 13, 2e4, 0)}}, "1.30 times"},
		"starts late":     {report{many: &many{machines: 3600, start: 61 * time.Second, result: load.Result{PerSecond: 1, Elapsed: time.Second}}}, "ready after 61 s"},
		"does not follow": {report{many: &many{machines: 36_000, result: load.Result{PerSecond: 9, Elapsed: time.Second}}}, "9 of 10 polls"},
	}
	for name, test := range tests {
		got := test.report.shortfalls()
		if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestReportHasEveryRowAndAPicture(t *testing.T) {
	out := filepath.Join(t.TempDir(), "service.md")
	r := report{
		settings: settings{out: out},
		ours:     []outcome{measuredRow("idle", 100_000, 40*time.Microsecond, 20_000, 0), measuredRow("limit-10", 100_000, time.Microsecond, 2, 10)},
		peer:     []outcome{measuredRow("idle", 100_000, 4*time.Millisecond, 200, 0)},
	}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"| no update; 95 % polls, 5 % events | 100,000 | 20,000 | 40.0 µs |", "| 10 of 10 |", "| 100 times |", "(service.svg)", "Nothing: every"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	picture, err := os.Open(strings.TrimSuffix(out, ".md") + ".svg")
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	bars := 0
	for d := xml.NewDecoder(picture); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 1+3 {
		t.Errorf("the picture has %d rectangles, want the ground and a bar for each row and the peer's", bars)
	}
}
