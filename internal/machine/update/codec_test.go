package update

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

func fullState() State {
	at := time.Unix(1_700_000_000, 0).UTC()
	return State{
		Format: Format, Phase: Rebooting, Previous: "1.0.0", BootID: "a", Baseline: []string{"x.service"}, Reason: "r",
		Target: Target{Release: named("1.1.0"), Codebase: "http://h/", Mirrors: []string{"http://i/"}, Delta: "from-1.0.0.payload"}, Newest: "1.0.0", Lock: LockHeld,
		Failed: map[string]Failure{"0.9.0": {"bad", at}}, NoDelta: []string{"1.1.0"}, Begun: 2, Lost: Loss{"1.1.0", 1}, Reported: 7,
		Reports: []Report{{Number: 7, Type: 3, Result: 1, Version: "1.1.0", Running: "1.0.0"}},
		Problem: &Problem{Version: "1.1.0", Kind: "corrupt", Why: "w", At: at, Told: true},
	}
}

func TestStateRoundTrip(t *testing.T) {
	for _, want := range []State{New(), fullState()} {
		got, err := Decode(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(fullState().Encode())
	for _, c := range []struct {
		name, old, new string
		kind           fault.Kind
		message        string
	}{
		{"another format", `"format": 1`, `"format": 2`, fault.Unsupported, "format 2"},
		{"an unknown phase", `"rebooting"`, `"dancing"`, fault.Corrupt, "phase"},
		{"an unknown lock", `"held"`, `"lent"`, fault.Corrupt, "lock"},
		{"a reboot in no boot", `"boot_id": "a"`, `"boot_id": ""`, fault.Corrupt, "boot ID"},
		{"a target without a hash", hash("1.1.0"), "abcd", fault.Corrupt, "root hash"},
		{"a climbing version", `"version": "1.1.0",` + "\n    \"root", `"version": "../x",` + "\n    \"root", fault.Corrupt, "target"},
		{"a wrong newest", `"newest": "1.0.0"`, `"newest": "x"`, fault.Corrupt, "newest"},
		{"a report from the future", `"reported": 7`, `"reported": 6`, fault.Corrupt, "order"},
		{"a wrong type", `"phase": "rebooting"`, `"phase": 4`, fault.Corrupt, "parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := Decode([]byte(text))
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
		})
	}
	if _, err := Decode([]byte(good + "{}")); !fault.Is(err, fault.Corrupt) {
		t.Errorf("data after the end: %v", err)
	}
}

// A rollback makes an older agent read what a newer one wrote.
func TestAFieldOfANewerAgentIsPassedOver(t *testing.T) {
	text := strings.Replace(string(fullState().Encode()), `"format": 1,`, `"format": 1, "mood": {"good": true},`, 1)
	got, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullState(), got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	turn := &turn{s: New()}
	for i := range 200 {
		turn.Now = time.Unix(int64(i), 0)
		turn.fail(fmt.Sprint("1.0.", i), strings.Repeat("ä", 2000))
		turn.report(Report{Type: eventUpdate, Version: "1.0.0"})
	}
	s := turn.s
	if len(s.Failed) != maxFailed || len(s.Reports) != maxReports || s.Reports[maxReports-1].Number != 200 {
		t.Errorf("%d failed, %d reports", len(s.Failed), len(s.Reports))
	}
	if _, ok := s.Failed["1.0.199"]; !ok || len(s.Encode()) > 64<<10 {
		t.Errorf("the newest failure is forgotten, or the state has %d bytes", len(s.Encode()))
	}
	if _, err := Decode(s.Encode()); err != nil {
		t.Error(err)
	}
}

func TestShorten(t *testing.T) {
	if got := shorten("a\n b\x00\xffc "); got != "a b??c" {
		t.Errorf("got %q", got)
	}
	long := shorten(strings.Repeat("a", maxText-1) + "äöü")
	if !utf8.ValidString(long) || len(long) > maxText+len(" …") {
		t.Errorf("got %q", long)
	}
}

func TestPausesGrowAndEnd(t *testing.T) {
	turn := &turn{Moment: Moment{Random: 1}}
	var task Task
	var pauses []time.Duration
	for range 40 {
		turn.failed(&task)
		pauses = append(pauses, task.Due)
	}
	if pauses[0] != firstPause || pauses[1] != 2*firstPause || pauses[39] != lastPause {
		t.Errorf("pauses are %v", pauses)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(New().Encode())
	f.Add(fullState().Encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Decode(s.Encode())
		if err != nil {
			t.Fatalf("an encoded state does not decode: %v", err)
		}
		if diff := cmp.Diff(s.Encode(), again.Encode()); diff != "" {
			t.Error(diff)
		}
		// Whatever was read, a machine can go on from it.
		s, _ = Policy{}.Step(s, Moment{}, Started{BootID: "x", Running: named("1.0.0")})
		if _, err := Decode(s.Encode()); err != nil {
			t.Errorf("a started state does not decode: %v", err)
		}
	})
}
