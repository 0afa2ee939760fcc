package reboot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

var start = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

// TestScripts plays the scripts of testdata/scripts: one command per event, the state as it is afterwards.
// `wait` lets time pass.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		state, now := New(), start
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var event Event
			switch d.Cmd {
			case "wait":
				pause, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				now = now.Add(pause)
				return state.Describe()
			case "acquire":
				event = Acquire{d.CmdArgs[0].Key}
			case "release":
				event = Release{d.CmdArgs[0].Key}
			case "resize":
				var slots int
				d.ScanArgs(t, "slots", &slots)
				event = Resize{slots}
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			var out Outcome
			state, out = Step(state, event, now)
			text := string(out.Verdict) + "\n"
			if err := out.Err(); err != nil {
				text = fmt.Sprintf("%v: %v\n", fault.KindOf(err), err)
			}
			return text + state.Describe()
		})
	})
}

// TestStepKeepsItsPromises compares Step with a set and a number, over random events.
func TestStepKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state, now := New(), start
		held, slots := map[string]time.Time{}, 1
		machine := rapid.SampledFrom([]string{"m1", "m2", "m3", "m4", "m5"})
		step := func(e Event) Outcome {
			before := encode(t, state)
			next, out := Step(state, e, now)
			if after := encode(t, state); after != before {
				t.Fatalf("%T changed the state it was given: %s -> %s", e, before, after)
			}
			if changed := encode(t, next) != before; changed != out.Changed() {
				t.Fatalf("%+v: changed is %v, the outcome %s says otherwise", e, changed, out.Verdict)
			}
			if diff := cmp.Diff(next.Holders, out.Holders); diff != "" && len(out.Holders) > 0 {
				t.Fatalf("outcome and state have other holders: %s", diff)
			}
			state = next
			return out
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				id := machine.Draw(t, "id")
				out := step(Acquire{id})
				_, had := held[id]
				want := Granted
				if had {
					want = Kept
				} else if len(held) >= slots {
					want = Busy
				} else {
					held[id] = now.Truncate(time.Second)
				}
				if out.Verdict != want || (out.Err() != nil) != (want == Busy) {
					t.Fatalf("acquire %s: %s, %v; want %s", id, out.Verdict, out.Err(), want)
				}
			},
			"release": func(t *rapid.T) {
				id := machine.Draw(t, "id")
				_, had := held[id]
				want := map[bool]Verdict{true: Released, false: Absent}[had]
				if out := step(Release{id}); out.Verdict != want {
					t.Fatalf("release %s: %s, want %s", id, out.Verdict, want)
				}
				delete(held, id)
			},
			"resize": func(t *rapid.T) {
				slots = rapid.IntRange(0, 4).Draw(t, "slots")
				step(Resize{slots})
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "pause")))
			},
			"": func(t *rapid.T) {
				got := map[string]time.Time{}
				for _, h := range state.Holders {
					got[h.ID] = h.Since
				}
				if diff := cmp.Diff(held, got); diff != "" || state.Slots != slots {
					t.Fatalf("%d slots, want %d; holders: %s", state.Slots, slots, diff)
				}
				back, err := Parse([]byte(encode(t, state)))
				if err != nil || back.Describe() != state.Describe() {
					t.Fatalf("%s comes back as %s, %v", state.Describe(), back.Describe(), err)
				}
			},
		})
	})
}

func encode(t interface{ Fatal(...any) }, s State) string {
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNeverMoreHoldersThanSlots counts grants alone: without a Resize the slots are never exceeded.
func TestNeverMoreHoldersThanSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(0, 5).Draw(t, "slots")
		state := State{Slots: slots}
		for i := range rapid.IntRange(0, 60).Draw(t, "events") {
			id := fmt.Sprint("m", rapid.IntRange(0, 9).Draw(t, "machine"))
			var e Event = Acquire{id}
			if rapid.Bool().Draw(t, "release") {
				e = Release{id}
			}
			state, _ = Step(state, e, start.Add(time.Duration(i)*time.Minute))
			if len(state.Holders) > slots {
				t.Fatalf("after %+v: %s", e, state.Describe())
			}
		}
	})
}

func TestStateVector(t *testing.T) {
	s := State{Slots: 2, Holders: []Holder{{"m1", start}}}
	want := `{"format":1,"slots":2,"holders":[{"id":"m1","since":"2026-03-01T04:00:00Z"}]}`
	if got := encode(t, s); got != want {
		t.Errorf("got %s", got)
	}
	if got := encode(t, New()); got != `{"format":1,"slots":1,"holders":[]}` {
		t.Errorf("a new lock is %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	holder := `{"id":"m1","since":"2026-03-01T04:00:00Z"}`
	cases := []struct {
		name, text string
		kind       fault.Kind
		message    string
	}{
		{"nothing", ``, fault.Corrupt, "unexpected end"},
		{"another format", `{"format":2}`, fault.Unsupported, "format 2"},
		{"unknown field", `{"format":1,"slots":1,"holders":[],"color":1}`, fault.Corrupt, "color"},
		{"two values", `{"format":1,"slots":1,"holders":[]}{}`, fault.Corrupt, "after top-level value"},
		{"negative slots", `{"format":1,"slots":-1,"holders":[]}`, fault.Corrupt, "slots is -1"},
		{"too many slots", `{"format":1,"slots":501,"holders":[]}`, fault.Corrupt, "slots is 501"},
		{"a holder twice", `{"format":1,"slots":3,"holders":[` + holder + `,` + holder + `]}`, fault.Corrupt, "twice"},
		{"no id", `{"format":1,"slots":1,"holders":[{"since":"2026-03-01T04:00:00Z"}]}`, fault.Corrupt, "not a client id"},
		{"no time", `{"format":1,"slots":1,"holders":[{"id":"m1"}]}`, fault.Corrupt, "whole seconds"},
		{"a fraction", `{"format":1,"slots":1,"holders":[{"id":"m1","since":"2026-03-01T04:00:00.5Z"}]}`, fault.Corrupt, "whole seconds"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
		})
	}
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	for _, s := range []State{{Slots: -1}, {Slots: 1, Holders: []Holder{{"", start}}}, {Slots: 1, Holders: []Holder{{"m1", start.In(time.FixedZone("x", 3600))}}}} {
		if _, err := s.Encode(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", s, err)
		}
	}
}

func TestBusyNamesAFewHolders(t *testing.T) {
	s := State{Slots: 5}
	for i := range 5 {
		s, _ = Step(s, Acquire{fmt.Sprint("m", i)}, start)
	}
	_, out := Step(s, Acquire{"late"}, start)
	if err := out.Err(); !strings.Contains(err.Error(), "m2 holds one since 2026-03-01T04:00:00Z, and 2 more") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format":1,"slots":2,"holders":[{"id":"m1","since":"2026-03-01T04:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		back, err := Parse([]byte(encode(t, s)))
		if err != nil {
			t.Fatalf("an encoded state does not parse: %v", err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Error(diff)
		}
	})
}
