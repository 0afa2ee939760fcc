package update

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// conduct is what a release does when it is booted.
type conduct int

const (
	good conduct = iota
	unhealthy
	broken // does not come up at all
)

var conducts = map[string]conduct{"1.1.0": good, "1.2.0": unhealthy, "1.3.0": broken, "1.4.0": good}

// world is a machine with its disk, its boot loader, its lock server and its service, all of it in memory.
type world struct {
	t       *rapid.T
	policy  Policy
	state   State
	disk    []byte // the state that was saved last
	marker  string
	slots   [2]string // which release each slot holds; "" is nothing whole
	entries map[string]Entry
	slot    int // that runs
	boots   int
	now     time.Duration
	pending []Effect
	locked  bool   // the lock server's view
	offer   string // what the service offers; "" is nothing
	failed  map[string]bool
	noDelta map[string]bool // to which a delta has failed
	losses  map[string]int  // how often the entry of each release was lost
	fair    bool

	downgrades bool   // the signatures allow every downgrade
	once       string // the release that the boot loader is told to start next, before all others
	deaf       bool   // the boot loader does not hear that
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, state: New(), slots: [2]string{"1.0.0", ""}, entries: map[string]Entry{"1.0.0": {}},
		policy: Policy{PollInterval: time.Hour, PollJitter: time.Minute, Lock: rapid.Bool().Draw(t, "lock")},
		failed: map[string]bool{}, noDelta: map[string]bool{}, losses: map[string]int{}, offer: rapid.SampledFrom(offers).Draw(t, "first offer"),
		downgrades: rapid.Bool().Draw(t, "downgrades"),
	}
	w.disk = w.state.Encode()
	w.boot()
	return w
}

func (w *world) running() string { return w.slots[w.slot] }
func (w *world) bootID() string  { return fmt.Sprint("boot-", w.boots) }

// boot does what firmware, boot loader and initrd do, until something stays up.
func (w *world) boot() {
	for range 100 {
		version := w.choose()
		if _, there := w.entries[w.once]; there && !w.deaf {
			version = w.once
		}
		w.once = ""
		if e := w.entries[version]; e.Counted {
			w.entries[version] = Entry{Counted: true, Left: max(e.Left-1, 0), Done: e.Done + 1}
		}
		w.slot = slices.Index(w.slots[:], version)
		if w.slot < 0 {
			w.t.Fatalf("entry %s names a release that no slot holds: %v", version, w.slots)
		}
		if conducts[version] != broken {
			w.boots++
			w.start()
			return
		}
	}
	w.t.Fatalf("nothing boots: %v", w.entries)
}

// choose sorts as systemd-boot does: newest first, entries without tries left last.
func (w *world) choose() string {
	versions := slices.Collect(maps.Keys(w.entries))
	if len(versions) == 0 {
		w.t.Fatal("there is no boot entry")
	}
	return slices.MaxFunc(versions, func(a, b string) int {
		if x, y := w.entries[a].exhausted(), w.entries[b].exhausted(); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return release.Compare(a, b)
	})
}

// start is a new process of the agent.
func (w *world) start() {
	saved, err := Decode(w.disk)
	if err != nil {
		w.t.Fatal(err)
	}
	w.state, w.pending = saved, nil
	w.step(Started{BootID: w.bootID(), Running: named(w.running()), Entries: maps.Clone(w.entries)})
}

// step applies an event and carries out what must be done in order; power may be cut before any of it.
func (w *world) step(e Event) {
	before := w.state.Encode()
	state, effects := w.policy.Step(w.state, Moment{Now: time.Unix(0, 0).Add(w.now), Elapsed: w.now, Random: 0.5}, e)
	if !bytes.Equal(before, w.state.Encode()) {
		w.t.Fatal("Step changed the state it was given")
	}
	w.state = state
	for i, effect := range effects {
		if !w.fair && rapid.IntRange(0, 60).Draw(w.t, "cut") == 0 {
			w.boot()
			return
		}
		switch effect := effect.(type) {
		case Save:
			if i != 0 {
				w.t.Fatal("Save is not the first effect")
			}
			w.disk = state.Encode()
		case Mark:
			w.marker = effect.Version
		case Reboot:
			w.checkReboot()
			w.pending = append(w.pending, effect)
		case Install:
			w.checkInstall(effect)
			w.pending = append(w.pending, effect)
		default:
			w.pending = append(w.pending, effect)
		}
	}
	if !bytes.Equal(w.disk, w.state.Encode()) {
		w.t.Fatal("a durable change was not saved")
	}
	if wake, ok := w.state.Wake(); ok && wake <= w.now {
		w.t.Fatalf("the loop would spin at %s in phase %s", w.now, w.state.Phase)
	}
	if lost := w.state.Lost; lost.Times > w.losses[lost.Version] {
		w.t.Fatalf("the entry of %s was lost %d times, and the machine counts %d", lost.Version, w.losses[lost.Version], lost.Times)
	}
	for version, failure := range w.state.Failed {
		lost := w.losses[version] >= maxLosses && strings.Contains(failure.Why, "boot entry vanished")
		if w.fair && !w.failed[version] && conducts[version] == good && !lost {
			w.t.Fatalf("%s is good and nothing went wrong, but it failed: %s", version, failure.Why)
		}
		w.failed[version] = true
	}
	for _, version := range w.state.NoDelta {
		w.noDelta[version] = true
	}
	w.checkReports()
}

// checkReports refuses the claim that an older release runs for good while the newer one runs. Only the opposite can
// happen to a machine that is as it should be: somebody chose an older entry by hand.
func (w *world) checkReports() {
	for _, r := range w.state.Reports {
		if r.Result == resultReboot && release.Compare(r.Version, r.Running) < 0 {
			w.t.Fatalf("%s runs, and the report says %s", r.Running, r)
		}
	}
}

func (w *world) checkReboot() {
	saved, _ := Decode(w.disk)
	if saved.Phase == RollingBack {
		return
	}
	back := saved.Phase == Committing && w.running() != saved.Target.Version
	switch {
	case saved.Phase != Rebooting && !back || saved.BootID != w.bootID():
		w.t.Fatalf("reboot in boot %s with saved state %s, %s", w.bootID(), saved.Phase, saved.BootID)
	case w.policy.Lock && (saved.Lock != LockHeld || !w.locked):
		w.t.Fatal("reboot without the lock")
	case w.marker != saved.Target.Version:
		w.t.Fatalf("reboot into a trial of %s with marker %q", saved.Target.Version, w.marker)
	}
}

func (w *world) checkInstall(e Install) {
	if slices.ContainsFunc(w.pending, func(e Effect) bool { _, is := e.(Install); return is }) {
		w.t.Fatal("two installations at once")
	}
	if w.failed[e.Target.Version] {
		w.t.Fatalf("%s failed, and is installed again", e.Target.Version)
	}
	if e.Target.Version == w.running() {
		w.t.Fatal("the running release is installed over itself")
	}
	if e.Target.Delta != "" && w.noDelta[e.Target.Version] {
		w.t.Fatalf("the delta to %s failed, and is taken again", e.Target.Version)
	}
	if saved, _ := Decode(w.disk); saved.Phase != Installing {
		w.t.Fatalf("install while the saved state is %s", saved.Phase)
	}
}

// perform carries out one pending effect and answers it; unless it succeeds, or the power is cut before the
// answer.
func (w *world) perform(i int, succeed, answer bool) {
	effect := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	event := w.answer(effect, succeed)
	if !answer {
		w.boot()
		return
	}
	if event != nil {
		w.step(event)
	}
}

func (w *world) answer(effect Effect, succeed bool) Event {
	f := Fault{fault.Unavailable, "trouble"}
	switch effect := effect.(type) {
	case Check:
		return w.answerCheck(succeed, f)
	case Verify:
		if !succeed {
			return Refused{effect.Offer.Version, f}
		}
		return Verified{Target: Target{Release: named(effect.Offer.Version), Delta: effect.Offer.Payload}, DowngradeAllowed: w.downgrades}
	case Install:
		return w.install(effect.Target, succeed, f)
	case AskLock, ReleaseLock:
		return w.answerLock(effect, succeed, f)
	case TakeBaseline:
		return BaselineTaken{}
	case Send:
		if !succeed {
			return ReportFailed{f}
		}
		return ReportSent{effect.Reports[len(effect.Reports)-1].Number}
	}
	return w.answerBoot(effect, succeed, f)
}

func (w *world) answerCheck(succeed bool, f Fault) Event {
	switch {
	case !succeed:
		return CheckFailed{f}
	case w.offer == "":
		return CheckAnswered{}
	}
	return CheckAnswered{Offer: &Offer{Version: w.offer, Payload: rapid.SampledFrom([]string{"", "from.payload"}).Draw(w.t, "payload")}}
}

func (w *world) answerLock(effect Effect, succeed bool, f Fault) Event {
	_, ask := effect.(AskLock)
	w.locked = ask // the request arrives, whether or not its answer does
	switch {
	case !succeed:
		return LockUnreachable{f}
	case ask:
		return LockGranted{}
	}
	return LockReleased{}
}

// answerBoot carries out what changes boot entries, or ends the boot.
func (w *world) answerBoot(effect Effect, succeed bool, f Fault) Event {
	switch effect := effect.(type) {
	case Retire:
		if !succeed {
			return RetireFailed{f}
		}
		if !w.retire() {
			return RetireFailed{conflict}
		}
		return RetireDone{}
	case Reboot:
		return w.reboot(effect.Once, succeed, f)
	case Judge:
		if conducts[w.running()] == unhealthy {
			return Failing{"it is unhealthy"}
		}
		return Healthy{}
	case Commit:
		return w.commit(effect.Version, succeed, f)
	case Remove:
		return w.remove(effect.Version, succeed, f)
	}
	w.t.Fatalf("nobody performs %T", effect)
	return nil
}

func (w *world) reboot(once string, succeed bool, f Fault) Event {
	if once != "" && !succeed {
		return SteerFailed{f}
	}
	w.once = once
	if !succeed {
		return RebootFailed{f}
	}
	w.boot()
	return nil
}

// retire refuses, as package slots does, while the running release is not the one that boots for good.
func (w *world) retire() bool {
	if own, there := w.entries[w.running()]; !there || own.Counted {
		return false
	}
	maps.DeleteFunc(w.entries, func(version string, _ Entry) bool { return version != w.running() })
	return true
}

var conflict = Fault{fault.Conflict, "nothing else would boot"}

func (w *world) install(to Target, succeed bool, f Fault) Event {
	if !w.retire() {
		return InstallFailed{conflict, to.Delta != ""}
	}
	w.slots[1-w.slot] = ""
	if to.Delta != "" && (!succeed || rapid.Bool().Draw(w.t, "delta is wrong")) {
		return InstallFailed{Fault{fault.Corrupt, "delta does not apply"}, true}
	}
	if !succeed {
		return InstallFailed{f, false}
	}
	w.slots[1-w.slot] = to.Version
	w.entries[to.Version] = Entry{Counted: true, Left: 3}
	return InstallDone{}
}

func (w *world) commit(version string, succeed bool, f Fault) Event {
	if _, there := w.entries[version]; !there {
		return CommitFailed{Fault{fault.NotFound, "it has no entry"}}
	}
	if !succeed && rapid.Bool().Draw(w.t, "before the rename") {
		return CommitFailed{f}
	}
	w.entries[version] = Entry{}
	if !succeed {
		return CommitFailed{f}
	}
	maps.DeleteFunc(w.entries, func(other string, _ Entry) bool { return release.Compare(other, version) > 0 })
	return CommitDone{}
}

func (w *world) remove(version string, succeed bool, f Fault) Event {
	_, there := w.entries[version]
	switch {
	case !succeed:
		return RemoveFailed{f}
	case there && len(w.entries) == 1:
		return RemoveFailed{conflict}
	}
	delete(w.entries, version)
	return EntryRemoved{}
}

func TestNoSequenceOfEventsBreaksAMachine(t *testing.T) {
	for range 5 {
		rapid.Check(t, breakAMachine)
	}
}

func breakAMachine(t *rapid.T) {
	w := newWorld(t)
	t.Repeat(map[string]func(*rapid.T){
		"go on": func(t *rapid.T) {
			for range rapid.IntRange(1, 12).Draw(t, "times") {
				w.advance(t)
			}
		},
		"offer":   func(t *rapid.T) { w.offer = rapid.SampledFrom(offers).Draw(t, "offer") },
		"check":   func(*rapid.T) { w.step(CheckNow{}) },
		"deafen":  func(t *rapid.T) { w.deaf = rapid.Bool().Draw(t, "deaf") },
		"cut":     func(*rapid.T) { w.boot() },
		"restart": func(*rapid.T) { w.start() },
		"lose":    func(*rapid.T) { w.loseEntry() },
		"retry": func(t *rapid.T) {
			version := rapid.SampledFrom([]string{"1.2.0", "1.3.0"}).Draw(t, "version")
			delete(w.failed, version)
			w.step(RetryRelease{version})
			delete(w.failed, version)
		},
	})
	w.settle()
}

var offers = []string{"", "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"}

// advance performs something that is pending, or waits where nothing is. Now and then it fails, and more seldom the
// power is cut before its answer is heard.
func (w *world) advance(t *rapid.T) {
	if len(w.pending) == 0 {
		w.wait()
		return
	}
	i := rapid.IntRange(0, len(w.pending)-1).Draw(t, "effect")
	w.perform(i, rapid.IntRange(0, 7).Draw(t, "succeed") > 0, rapid.IntRange(0, 30).Draw(t, "answer") > 0)
}

// wait lets time pass until the machine wants to act by itself.
func (w *world) wait() {
	if wake, ok := w.state.Wake(); ok {
		w.now = max(w.now, wake)
	}
	w.step(Tick{})
}

// loseEntry is what FAT may do to a directory that was being changed. The machine notices it at its next start, which may
// be in the fair part.
func (w *world) loseEntry() {
	maps.DeleteFunc(w.entries, func(version string, e Entry) bool {
		lost := e.Counted && len(w.entries) > 1
		if lost {
			w.losses[version]++
		}
		return lost
	})
}

// settle is the fair part: from here on everything succeeds, and the service offers one good release.
func (w *world) settle() {
	w.fair, w.offer, w.deaf = true, "1.4.0", false
	if w.downgrades && rapid.Bool().Draw(w.t, "back") {
		w.offer = "1.0.0"
	}
	for range 300 {
		if w.settled() {
			return
		}
		if _, there := w.entries[w.running()]; !there && w.state.Phase == Idle {
			w.boot() // nothing but a boot helps a release whose entry is lost, and it comes sooner or later
			continue
		}
		if len(w.pending) > 0 {
			w.perform(0, true, true)
			continue
		}
		w.wait()
	}
	w.t.Fatalf("does not settle: runs %s, entries %v\n%s", w.running(), w.entries, w.state.Describe())
}

// settled reports whether the update is over: the offered release runs for good, unless it failed here, and
// nothing is owed to anybody.
func (w *world) settled() bool {
	s := w.state
	arrived := w.running() == w.offer || w.failed[w.offer]
	quiet := s.Phase == Idle && s.Lock == LockNone && !w.locked && len(s.Reports) == 0 && w.marker == ""
	return arrived && quiet && w.choose() == w.running()
}

func TestTheModelCanFail(t *testing.T) {
	w := &world{entries: map[string]Entry{"1.0.0": {}, "1.1.0": {Counted: true}, "1.2.0": {Counted: true, Left: 1}}}
	if got := w.choose(); got != "1.2.0" {
		t.Errorf("the boot loader chooses %s", got)
	}
	delete(w.entries, "1.2.0")
	if got := w.choose(); got != "1.0.0" {
		t.Errorf("the boot loader chooses %s: an exhausted entry must come last", got)
	}
}
