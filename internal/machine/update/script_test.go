package update

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"conifer.dev/conifer/internal/fault"
)

// hash is the root hash of a version in these tests.
func hash(version string) string {
	return fmt.Sprintf("%064x", []byte(version))[:64]
}

func named(version string) Release { return Release{Version: version, RootHash: hash(version)} }

// script drives one machine through the events of a test file.
type script struct {
	t      *testing.T
	policy Policy
	state  State
	now    time.Duration
}

func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/script", func(t *testing.T, path string) {
		s := &script{t: t, state: New(), policy: Policy{PollInterval: time.Hour, PollJitter: 10 * time.Minute, Lock: true}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			return s.run(d)
		})
	})
}

func (s *script) run(d *datadriven.TestData) string {
	switch d.Cmd {
	case "policy":
		s.policy.Lock = !d.HasArg("no-lock")
		return ""
	case "cut": // the power: what was not saved is lost
		saved, err := Decode(s.state.Encode())
		if err != nil {
			s.t.Fatal(err)
		}
		s.state = saved
		return s.state.Describe()
	case "after":
		return s.after(d)
	}
	return s.step(s.event(d))
}

// after lets time pass and ticks.
func (s *script) after(d *datadriven.TestData) string {
	pause, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.now += pause
	return s.step(Tick{})
}

func (s *script) step(e Event) string {
	at := Moment{Now: time.Unix(1_700_000_000, 0).Add(s.now), Elapsed: s.now, Random: 0.5}
	var effects []Effect
	s.state, effects = s.policy.Step(s.state, at, e)
	var b strings.Builder
	for _, e := range effects {
		fmt.Fprintf(&b, "-> %s\n", show(e))
	}
	b.WriteString(s.state.Describe())
	if wake, ok := s.state.Wake(); ok && wake > s.now {
		fmt.Fprintf(&b, "sleeps %s\n", wake-s.now)
	}
	return b.String()
}

// show writes an effect in the words of a script.
func show(e Effect) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", e), "update.")
	switch e := e.(type) {
	case Mark:
		return name + " " + strconv.Quote(e.Version)
	case Verify:
		return strings.TrimSuffix(fmt.Sprintf("%s %s newest=%s offered=%s", name, e.Offer.Version, e.Newest, e.Offer.Payload), " offered=")
	case Install:
		if e.Target.Delta != "" {
			return name + " " + e.Target.Version + " by " + e.Target.Delta
		}
		return name + " " + e.Target.Version
	case Commit:
		return name + " " + e.Version
	case Remove:
		return name + " " + e.Version
	case Judge:
		return fmt.Sprintf("%s %v", name, e.Baseline)
	case Check:
		if e.Manual {
			name += " manual"
		}
		if !e.Deltas {
			name += " in full"
		}
	case Send:
		return fmt.Sprintf("%s %d", name, len(e.Reports))
	case Reboot:
		if e.Once != "" {
			return name + " once into " + e.Once
		}
	}
	return name
}

func (s *script) arg(d *datadriven.TestData, key string) string {
	var value string
	d.MaybeScanArgs(s.t, key, &value)
	return value
}

// event makes the event that a line of a script names.
func (s *script) event(d *datadriven.TestData) Event {
	problem := Fault{fault.Unavailable, "no answer"}
	for _, kind := range []fault.Kind{fault.Corrupt, fault.NotFound, fault.Conflict, fault.Exhausted, fault.Untrusted, fault.Unsupported} {
		if d.HasArg(strings.ReplaceAll(kind.String(), " ", "-")) {
			problem = Fault{kind, kind.String() + " things"}
		}
	}
	version := s.arg(d, "version")
	switch d.Cmd {
	case "start":
		return Started{BootID: s.arg(d, "boot"), Running: named(s.arg(d, "running")), Entries: s.entries(d)}
	case "check-answered":
		if version == "" {
			return CheckAnswered{}
		}
		return CheckAnswered{Offer: &Offer{Version: version, Payload: s.arg(d, "payload")}}
	case "verified":
		v := Verified{Target: Target{Release: named(version), Delta: s.arg(d, "delta")}, DowngradeAllowed: d.HasArg("downgrade")}
		if d.HasArg("unsteerable") {
			v.Unsteerable = "there are no EFI variables"
		}
		return v
	case "refused":
		return Refused{version, problem}
	case "install-failed":
		return InstallFailed{problem, d.HasArg("delta")}
	case "retry":
		return RetryRelease{version}
	case "lock-denied":
		return LockDenied{"2 of 2 slots are taken"}
	case "baseline":
		return BaselineTaken{strings.Fields(s.arg(d, "units"))}
	case "failing":
		return Failing{"unit app.service failed"}
	case "pending":
		return Pending{"unit app.service is activating"}
	case "report-sent":
		return ReportSent{s.state.Reported}
	}
	if e := simple(d.Cmd, problem); e != nil {
		return e
	}
	d.Fatalf(s.t, "unknown command %s", d.Cmd)
	return nil
}

func simple(name string, f Fault) Event {
	return map[string]Event{
		"check-now": CheckNow{}, "check-failed": CheckFailed{f}, "install-done": InstallDone{},
		"retire-done": RetireDone{}, "retire-failed": RetireFailed{f},
		"lock-granted": LockGranted{}, "lock-released": LockReleased{}, "lock-unreachable": LockUnreachable{f},
		"reboot-failed": RebootFailed{f}, "steer-failed": SteerFailed{f}, "healthy": Healthy{}, "commit-done": CommitDone{},
		"commit-failed": CommitFailed{f}, "entry-removed": EntryRemoved{}, "remove-failed": RemoveFailed{f},
		"report-failed": ReportFailed{f},
	}[name]
}

// entries reads boot entries as their file names have them: 1.0.0 or 1.1.0+2-1.
func (s *script) entries(d *datadriven.TestData) map[string]Entry {
	entries := map[string]Entry{}
	for _, a := range d.CmdArgs {
		if a.Key != "entries" {
			continue
		}
		for _, name := range a.Vals {
			version, counter, counted := strings.Cut(name, "+")
			left, done, _ := strings.Cut(counter, "-")
			e := Entry{Counted: counted}
			e.Left, _ = strconv.Atoi(left)
			e.Done, _ = strconv.Atoi(done)
			entries[version] = e
		}
	}
	return entries
}
