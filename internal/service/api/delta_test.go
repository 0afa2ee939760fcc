package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

var (
	gaveUp    = omaha.Event{Type: omaha.DownloadStarted, Result: omaha.Canceled, ErrorCode: 10}
	haveDelta = omaha.Event{Type: omaha.DownloadFinished, Result: omaha.Success, Payload: omaha.DeltaPayload}
)

// withDeltas starts a service that offers release 1.1.0, which has an extra file, with a delta from 1.0.0.
func withDeltas(t *testing.T, deltas ...store.Delta) *servicetest.Service {
	t.Helper()
	s := servicetest.Start(t, t.TempDir())
	must(t, s.Client.AddApp(t.Context(), store.App{ID: app, Name: "conifer"}))
	r := servicetest.Release("1.1.0")
	r.Extra, r.Deltas = []store.File{{Name: "oem.raw", SizeBytes: 7, SHA256: strings.Repeat("ef", 32)}}, deltas
	must(t, s.Client.AddRelease(t.Context(), r))
	s.Point("alpha", "1.1.0")
	_, err := s.Client.SetGroup(t.Context(), "alpha", admin.GroupPatch{App: app})
	must(t, err)
	return s
}

// payload asks for an update, and returns the first file of the offer after a look at the rest.
func payload(t *testing.T, s *servicetest.Service, m *servicetest.Machine) omaha.File {
	t.Helper()
	offer, err := m.Poll().Offer()
	must(t, err)
	got := offer.Payload
	offer.Payload = omaha.File{}
	want := omaha.Offer{
		Version: "1.1.0", Codebases: []string{s.URL + "/v1/files/conifer-os/amd64/1.1.0/"},
		Extra: []omaha.File{{Name: "oem.raw", SizeBytes: 7, SHA256: strings.Repeat("ef", 32)}},
	}
	if diff := cmp.Diff(want, offer); diff != "" {
		t.Error(diff)
	}
	return got
}

func TestWhichPayloadIsOffered(t *testing.T) {
	s := withDeltas(t, servicetest.Delta("1.0.0"))
	full := omaha.File{Name: "full.payload", SizeBytes: 1000, SHA256: strings.Repeat("ab", 32)}
	delta := omaha.File{Name: "from-1.0.0.payload", SizeBytes: 50, SHA256: strings.Repeat("cd", 32)}
	for _, c := range []struct {
		id, version, payloads string
		want                  omaha.File
	}{
		{"m1", "1.0.0", "delta-1", delta}, {"m1", "1.0.0", "", full}, {"m1", "1.0.0", "delta-2", full}, {"m1", "1.0.0", "delta-2 delta-1", delta},
		{"m2", "1.0.1", "delta-1", full}, {"m3", "0.0.0", "delta-1", full}, {"", "1.0.0", "delta-1", delta}, {"", "1.0.0", "", full},
	} {
		m := s.NewMachine(c.id, "alpha", c.version)
		m.Payloads = c.payloads
		if got := payload(t, s, m); got != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
	must(t, s.Client.SetRelease(t.Context(), app, "amd64", "1.1.0", admin.ReleasePatch{DropDeltas: []string{"1.0.0"}}))
	m := s.NewMachine("m1", "alpha", "1.0.0")
	m.Payloads = "delta-1"
	if got := payload(t, s, m); got != full {
		t.Errorf("after the delta was dropped: got %+v", got)
	}
}

// A machine that says nothing of deltas is answered with the same bytes, whether there are any or not.
func TestStockMachinesDoNotSeeDeltas(t *testing.T) {
	answer := func(s *servicetest.Service) string {
		status, _, text := send(t, s.URL, poll(t, "m1", ""), true)
		if status != http.StatusOK {
			t.Fatalf("got %d %s", status, text)
		}
		return strings.ReplaceAll(regexp.MustCompile(`elapsed_seconds="\d+"`).ReplaceAllString(text, ""), s.URL, "")
	}
	if diff := cmp.Diff(answer(withDeltas(t)), answer(withDeltas(t, servicetest.Delta("1.0.0")))); diff != "" {
		t.Error(diff)
	}
}

// A delta that fails on machines says nothing against the release, however many they are.
func TestDeltasThatFailDoNotHalt(t *testing.T) {
	s := withDeltas(t, servicetest.Delta("1.0.0"))
	for _, id := range []string{"m1", "m2", "m3"} {
		m := s.NewMachine(id, "alpha", "1.0.0")
		m.Payloads = "delta-1"
		payload(t, s, m)
		m.Report(started)
		m.Report(gaveUp)
		state(t, m, rollout.Progress{State: rollout.Downloading, Version: "1.0.0", Target: "1.1.0"})
		m.Payloads = ""
		if got := payload(t, s, m); got.Name != "full.payload" {
			t.Errorf("after its delta failed a machine is offered %+v", got)
		}
		m.Report(finished)
		state(t, m, rollout.Progress{State: rollout.Downloaded, Version: "1.0.0", Target: "1.1.0"})
	}
	r, err := s.Client.Release(t.Context(), app, "amd64", "1.1.0")
	must(t, err)
	if r.Halted || len(r.Barred) != 0 {
		t.Errorf("got %+v", r)
	}
	history, err := s.Client.Machine(t.Context(), app, "m1")
	must(t, err)
	if len(history.Events) != 3 || history.Events[1].Result != omaha.Canceled || history.Events[1].Code != 10 || history.Events[1].Target != "1.1.0" {
		t.Errorf("got %+v", history.Events)
	}
	counted(t, s, store.Traffic{Fulls: 3, FullBytes: 3000, FailedDeltas: 3})
}

// counted compares the download counts of group alpha, as a whole and of its one rollout.
func counted(t *testing.T, s *servicetest.Service, want store.Traffic) {
	t.Helper()
	group, err := s.Client.Group(t.Context(), app, "alpha")
	must(t, err)
	if diff := cmp.Diff(&want, group.Downloads); diff != "" {
		t.Errorf("group: %s", diff)
	}
	rollouts, err := s.Client.Rollouts(t.Context(), app, "alpha")
	must(t, err)
	if diff := cmp.Diff(&want, rollouts[0].Downloads); diff != "" || len(rollouts) != 1 {
		t.Errorf("%d rollouts: %s", len(rollouts), diff)
	}
}

func TestDownloadsAreCounted(t *testing.T) {
	s := withDeltas(t, servicetest.Delta("1.0.0"))
	download := func(id, version string, e ...omaha.Event) {
		m := s.NewMachine(id, "alpha", version)
		payload(t, s, m)
		for _, e := range e {
			m.Report(e)
		}
	}
	counted(t, s, store.Traffic{})
	download("m1", "1.0.0", started, haveDelta, haveDelta, awaits, haveDelta) // the report came again
	counted(t, s, store.Traffic{Deltas: 1, DeltaBytes: 50, SavedBytes: 950})
	download("m2", "1.0.1", haveDelta) // from which there is none
	download("m3", "1.0.0", finished)  // stock
	download("m4", "1.0.0", started)
	counted(t, s, store.Traffic{Fulls: 2, FullBytes: 2000, Deltas: 1, DeltaBytes: 50, SavedBytes: 950})
	lost := s.NewMachine("m5", "nowhere", "1.0.0")
	lost.Report(omaha.Event{Type: omaha.DownloadFinished, Result: omaha.Success, NextVersion: "1.1.0"}) // a group that there is not
	download("m6", "1.0.0", omaha.Event{Type: omaha.DownloadFinished, Result: omaha.Success, NextVersion: "7.0.0"})
	counted(t, s, store.Traffic{Fulls: 2, FullBytes: 2000, Deltas: 1, DeltaBytes: 50, SavedBytes: 950})
	_, metrics := ask(t, "GET", s.URL+"/metrics", "", nil)
	for _, line := range []string{
		`conifer_downloads_total{kind="full"} 3`, `conifer_download_bytes_total{kind="full"} 3000`, `conifer_downloads_total{kind="delta"} 1`,
		`conifer_download_bytes_total{kind="delta"} 50`, `conifer_download_saved_bytes_total 950`, `conifer_deltas_failed_total 0`,
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("the metrics lack %s", line)
		}
	}
}

// What was counted is there after a restart, and goes with its release.
func TestDownloadCountsLast(t *testing.T) {
	folder := t.TempDir()
	before := servicetest.Start(t, folder)
	before.Populate("1.1.0", "1.0.0")
	m := before.NewMachine("m1", "alpha", "1.0.0")
	m.Poll()
	m.Report(finished)
	s := servicetest.Start(t, folder)
	counted(t, s, store.Traffic{Fulls: 1, FullBytes: 1000})
	s.Point("alpha", "1.0.0")
	s.Point("stable", "1.0.0")
	must(t, s.Client.ForgetRelease(t.Context(), app, "amd64", "1.1.0"))
	counted(t, s, store.Traffic{})
}
