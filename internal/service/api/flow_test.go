package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/wire/omaha"
)

const app = servicetest.App

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// offered expects an offer of version, or none when it is empty.
func offered(t *testing.T, check *omaha.UpdateCheck, version string) {
	t.Helper()
	offer, err := check.Offer()
	if version == "" && !fault.Is(err, fault.NotFound) || version != "" && (err != nil || offer.Version != version) {
		t.Fatalf("offered %q (%v), want %q", offer.Version, err, version)
	}
}

func state(t *testing.T, m *servicetest.Machine, want rollout.Progress) {
	t.Helper()
	got, err := m.Service.Client.Machine(t.Context(), app, m.ID)
	must(t, err)
	if diff := cmp.Diff(want, got.Machine.Progress); diff != "" {
		t.Fatalf("machine %s: %s", m.ID, diff)
	}
}

// because expects that the machine would be refused, by the rule.
func because(t *testing.T, m *servicetest.Machine, rule, text string) {
	t.Helper()
	e, err := m.Service.Client.Explain(t.Context(), app, m.ID)
	must(t, err)
	why := e.Decision.Why()
	if why.OK || why.Rule != rule || !strings.Contains(why.Text, text) {
		t.Errorf("machine %s is refused by %+v, want %s with %q", m.ID, why, rule, text)
	}
}

var (
	started  = omaha.Event{Type: omaha.DownloadStarted, Result: omaha.Success}
	finished = omaha.Event{Type: omaha.DownloadFinished, Result: omaha.Success}
	awaits   = omaha.Event{Type: omaha.UpdateComplete, Result: omaha.Success}
	rollback = omaha.Event{Type: omaha.UpdateComplete, Result: omaha.Failed, ErrorCode: omaha.RolledBack}
)

func TestAnUpdateFromOfferToCompletion(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.0.0", "1.1.0")
	m := s.NewMachine("m1", "alpha", "1.0.0")
	offered(t, m.Poll(), "")
	state(t, m, rollout.Progress{State: rollout.Idle, Version: "1.0.0"})

	s.Point("alpha", "1.1.0")
	check := m.Poll()
	offered(t, check, "1.1.0")
	offer, _ := check.Offer()
	want := omaha.Offer{
		Version: "1.1.0", Codebases: []string{s.URL + "/v1/files/conifer-os/amd64/1.1.0/"},
		Payload: omaha.File{Name: "full.payload", SizeBytes: 1000, SHA256: strings.Repeat("ab", 32)},
	}
	if diff := cmp.Diff(want, offer); diff != "" {
		t.Error(diff)
	}
	steps := []struct {
		event omaha.Event
		state rollout.State
	}{{started, rollout.Downloading}, {finished, rollout.Downloaded}, {awaits, rollout.Installed}}
	for _, step := range steps {
		m.Report(step.event)
		state(t, m, rollout.Progress{State: step.state, Version: "1.0.0", Target: "1.1.0"})
	}
	_, err := m.Send(omaha.AppRequest{Ping: &omaha.Ping{Active: "1"}})
	must(t, err)
	state(t, m, rollout.Progress{State: rollout.Installed, Version: "1.0.0", Target: "1.1.0"})

	m.Version = "1.1.0"
	offered(t, m.Poll(omaha.Event{Type: omaha.UpdateComplete, Result: omaha.SuccessReboot, PreviousVersion: "1.0.0"}), "")
	state(t, m, rollout.Progress{State: rollout.Complete, Version: "1.1.0", Target: "1.1.0"})
	history, err := s.Client.Machine(t.Context(), app, "m1")
	must(t, err)
	var told []string
	for _, e := range history.Events {
		told = append(told, string(e.State))
	}
	if diff := cmp.Diff([]string{"complete", "installed", "downloaded", "downloading"}, told); diff != "" {
		t.Error(diff)
	}
}

// A poll of the new version completes the update even when no event said so, and is in the history once.
func TestTheFirstPollOfTheNewVersionCompletes(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	m := s.NewMachine("m1", "alpha", "1.0.0")
	offered(t, m.Poll(), "1.1.0")
	m.Version = "1.1.0"
	offered(t, m.Poll(), "")
	offered(t, m.Poll(), "")
	history, err := s.Client.Machine(t.Context(), app, "m1")
	must(t, err)
	if history.Machine.State != rollout.Complete || len(history.Events) != 1 || history.Events[0].Previous != "1.0.0" {
		t.Errorf("got %+v", history)
	}
}

func TestARollbackHaltsTheReleaseForEverybody(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.0.0", "1.1.0")
	first, other := s.NewMachine("m1", "alpha", "1.0.0"), s.NewMachine("m2", "stable", "1.0.0")
	s.Point("alpha", "1.1.0")
	offered(t, first.Poll(), "1.1.0")
	for _, e := range []omaha.Event{started, finished, awaits} {
		first.Report(e)
	}
	offered(t, first.Poll(rollback), "")
	state(t, first, rollout.Progress{State: rollout.RolledBack, Version: "1.0.0", Target: "1.1.0", Code: omaha.RolledBack})

	r, err := s.Client.Release(t.Context(), app, "amd64", "1.1.0")
	must(t, err)
	if !r.Halted || !strings.Contains(r.HaltReason, "error budget is 0") || r.Halt.By != "the error budget of group alpha" || len(r.Barred) != 1 {
		t.Errorf("got %+v", r)
	}
	s.Point("stable", "1.1.0")
	offered(t, other.Poll(), "")
	because(t, other, "halt", "rolled back to the previous release (code 44)")
	because(t, first, "halt", "error budget")

	must(t, s.Client.Resume(t.Context(), app, "amd64", "1.1.0"))
	offered(t, other.Poll(), "1.1.0")
	offered(t, first.Poll(), "")
	because(t, first, "loop guard", "code 44")
	retried, err := s.Client.Retry(t.Context(), app, "m1", "")
	must(t, err)
	if len(retried) != 1 || retried[0].Version != "1.1.0" {
		t.Errorf("got %+v", retried)
	}
	offered(t, first.Poll(), "1.1.0")
}

func TestTheErrorBudgetCountsMachines(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	budget := "1"
	_, err := s.Client.SetGroup(t.Context(), "alpha", admin.GroupPatch{App: app, ErrorBudget: &budget})
	must(t, err)
	fail := func(id string) {
		m := s.NewMachine(id, "alpha", "1.0.0")
		m.Poll()
		m.Report(rollback)
		m.Report(rollback)
	}
	halted := func() bool {
		r, err := s.Client.Release(t.Context(), app, "amd64", "1.1.0")
		must(t, err)
		return r.Halted
	}
	fail("m1")
	if halted() {
		t.Fatal("the first machine halted the release, which its budget allows")
	}
	fail("m2")
	if !halted() {
		t.Fatal("the second machine did not halt the release")
	}
}

// The network between a machine and the service says nothing against a release.
func TestAnInterruptedDownloadIsTriedAgain(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	m := s.NewMachine("m1", "alpha", "1.0.0")
	offered(t, m.Poll(), "1.1.0")
	m.Report(started)
	m.Report(omaha.Event{Type: omaha.UpdateComplete, Result: omaha.Failed, ErrorCode: 9})
	state(t, m, rollout.Progress{State: rollout.Failed, Version: "1.0.0", Target: "1.1.0", Code: 9})
	offered(t, m.Poll(), "1.1.0")
}

func TestPolicyOfAGroup(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	m := s.NewMachine("m1", "alpha", "1.0.0")
	zero, all, yes, no, stable := "0", "100", true, false, "stable"
	steps := []struct {
		patch admin.GroupPatch
		offer string
		rule  string
	}{
		{admin.GroupPatch{Percent: &zero}, "", "percent"},
		{admin.GroupPatch{Percent: &all, Paused: &yes}, "", "pause"},
		{admin.GroupPatch{Paused: &no, Channel: &stable}, "1.1.0", ""},
	}
	for _, step := range steps {
		step.patch.App = "conifer" // by its name
		_, err := s.Client.SetGroup(t.Context(), "alpha", step.patch)
		must(t, err)
		offered(t, m.Poll(), step.offer)
		if step.rule != "" {
			because(t, m, step.rule, "group alpha")
		}
	}
}

func TestStrangers(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	lost := s.NewMachine("m1", "nowhere", "1.0.0")
	offered(t, lost.Poll(), "")
	because(t, lost, "group", `"nowhere" is unknown`)
	nameless := s.NewMachine("", "alpha", "1.0.0")
	offered(t, nameless.Poll(rollback), "1.1.0")
	machines, err := s.Client.Machines(t.Context(), app, "", "", 0)
	must(t, err)
	if len(machines) != 1 || machines[0].ID != "m1" {
		t.Errorf("got %+v", machines)
	}
}

// Nothing that was acknowledged is lost when the service dies: the second service finds it in the database while the first
// has closed nothing.
func TestAcknowledgedEventsSurvive(t *testing.T) {
	folder := t.TempDir()
	died := servicetest.Start(t, folder)
	died.Populate("1.0.0", "1.1.0")
	died.Point("alpha", "1.1.0")
	for _, id := range []string{"m1", "m2", "m3"} {
		m := died.NewMachine(id, "alpha", "1.0.0")
		offered(t, m.Poll(), "1.1.0")
		m.Report(started)
	}
	died.NewMachine("m3", "alpha", "1.0.0").Report(rollback)

	s := servicetest.Start(t, folder)
	for _, id := range []string{"m1", "m2"} {
		m := s.NewMachine(id, "alpha", "1.0.0")
		state(t, m, rollout.Progress{State: rollout.Downloading, Version: "1.0.0", Target: "1.1.0"})
		because(t, m, "halt", "error budget")
	}
	m := s.NewMachine("m3", "alpha", "1.0.0")
	state(t, m, rollout.Progress{State: rollout.RolledBack, Version: "1.0.0", Target: "1.1.0", Code: omaha.RolledBack})
	offered(t, m.Poll(), "")
	entries, err := s.Client.Activity(t.Context(), 1)
	must(t, err)
	if len(entries) != 1 || !strings.Contains(entries[0].Text, "halted release 1.1.0") {
		t.Errorf("got %+v", entries)
	}
}
