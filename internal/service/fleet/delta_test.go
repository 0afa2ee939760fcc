package fleet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// large is a release whose full payload leaves room for smaller ones.
func large(version string, deltas ...store.Delta) store.Release {
	r := sample(version)
	r.SizeBytes, r.Deltas = 1000, deltas
	return r
}

func deltaOf(from string, change ...func(*store.Delta)) store.Delta {
	d := store.Delta{From: from, Features: []string{"delta-1"}, File: store.File{Name: "from-" + from, SizeBytes: 10, SHA256: strings.Repeat("cd", 32)}}
	for _, set := range change {
		set(&d)
	}
	return d
}

func TestDeltasAreAddedAndDropped(t *testing.T) {
	f, s := openFleet(t)
	ctx := t.Context()
	expect := func(what, want string) {
		t.Helper()
		r, err := f.Release("os", "amd64", "3.0")
		must(t, err)
		m, err := load(ctx, s)
		must(t, err)
		stored := *m.of("os").releases[releaseKey{"amd64", "3.0"}]
		if got := origins(r.Deltas); got != want || origins(stored.Deltas) != want {
			t.Errorf("%s: deltas from %s, stored are those from %s, want %s", what, got, origins(stored.Deltas), want)
		}
	}
	must(t, f.AddRelease(ctx, "ada", large("3.0", deltaOf("2.0"), deltaOf("1.0"))))
	expect("added with the release, in any order", "1.0, 2.0")
	before := s.applied.Load()
	must(t, f.AddRelease(ctx, "ada", large("3.0", deltaOf("2.0"))))
	must(t, f.AddRelease(ctx, "ada", large("3.0")))
	if s.applied.Load() != before {
		t.Error("what is known was written again")
	}
	expect("added without them", "1.0, 2.0")
	must(t, f.AddRelease(ctx, "ada", large("3.0", deltaOf("2.0"), deltaOf("1.5"))))
	expect("added with one more", "1.0, 1.5, 2.0")
	other := deltaOf("1.5", func(d *store.Delta) { d.SizeBytes = 11 })
	if err := f.AddRelease(ctx, "ada", large("3.0", other, deltaOf("1.7"))); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("another delta from 1.5: %v", err)
	}
	must(t, f.SetRelease(ctx, "ada", "os", "amd64", "3.0", admin.ReleasePatch{DropDeltas: []string{"1.5", "1.0"}, AddDeltas: []store.Delta{other}}))
	expect("replaced", "1.5, 2.0")
	if err := f.SetRelease(ctx, "ada", "os", "amd64", "3.0", admin.ReleasePatch{DropDeltas: []string{"1.0"}}); !fault.Is(err, fault.NotFound) {
		t.Errorf("dropped what there is not: %v", err)
	}
	activity, err := s.Activity(ctx, 2)
	must(t, err)
	if !strings.Contains(activity[0].Text, `deltas from "1.5, 2.0"`) || !strings.Contains(activity[1].Text, "added deltas: release 3.0 for amd64 has those from 1.0, 1.5, 2.0 now") {
		t.Errorf("got %+v", activity)
	}
}

func TestDeltasThatAreRefused(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	must(t, f.AddRelease(ctx, "ada", large("3.0")))
	var crowd []store.Delta
	for i := range maxDeltas + 1 {
		crowd = append(crowd, deltaOf(fmt.Sprint("1.", i)))
	}
	for name, deltas := range map[string][]store.Delta{
		"from itself":      {deltaOf("3.0"), deltaOf("4.0")},
		"from no version":  {deltaOf("latest")},
		"no size":          {deltaOf("1.0", func(d *store.Delta) { d.SizeBytes = 0 })},
		"not smaller":      {deltaOf("1.0", func(d *store.Delta) { d.SizeBytes = 1000 })},
		"no digest":        {deltaOf("1.0", func(d *store.Delta) { d.SHA256 = "" })},
		"climbing name":    {deltaOf("1.0", func(d *store.Delta) { d.Name = "../x" })},
		"the payload":      {deltaOf("1.0", func(d *store.Delta) { d.Name = "payload" })},
		"one file for two": {deltaOf("1.0"), deltaOf("2.0", func(d *store.Delta) { d.Name = "from-1.0" })},
		"no features":      {deltaOf("1.0", func(d *store.Delta) { d.Features = nil })},
		"two words":        {deltaOf("1.0", func(d *store.Delta) { d.Features = []string{"delta-1 delta-2"} })},
		"many features":    {deltaOf("1.0", func(d *store.Delta) { d.Features = strings.Fields(strings.Repeat("x ", maxFeatures+1)) })},
		"too many":         crowd,
	} {
		if err := f.AddRelease(ctx, "ada", large("4.0", deltas...)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s, with the release: %v", name, err)
		}
		if err := f.AddRelease(ctx, "ada", large("3.0", deltas...)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s, later: %v", name, err)
		}
		if err := f.SetRelease(ctx, "ada", "os", "amd64", "3.0", admin.ReleasePatch{AddDeltas: deltas}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s, by a patch: %v", name, err)
		}
	}
}

// A place under a limit is waited for while the fleet is unlocked: the answer has the delta all the same.
func TestADeltaUnderALimit(t *testing.T) {
	f, _ := openFleet(t)
	ctx := t.Context()
	must(t, f.AddRelease(ctx, "ada", large("3.0", deltaOf("1.0"))))
	must(t, f.SetChannel(ctx, "ada", "os", "main", "amd64", "3.0"))
	one := 1
	_, err := f.SetGroup(ctx, "ada", "main", admin.GroupPatch{App: "os", MaxAtOnce: &one})
	must(t, err)
	c := contact("m1")
	for payloads, want := range map[string]bool{"delta-1": true, "": false} {
		c.Payloads = payloads
		answer, err := f.Contact(ctx, c)
		must(t, err)
		if answer.Release == nil || (answer.Delta != nil) != want || want && answer.Delta.Name != "from-1.0" {
			t.Errorf("payloads %q: got %+v", payloads, answer)
		}
	}
}

func TestABatchWritesEachCountOnce(t *testing.T) {
	add := func(version string, n int64) store.Change {
		return store.AddDownloads{Downloads: store.Downloads{App: "os", Group: "main", Arch: "amd64", Version: version, Traffic: store.Traffic{
			Fulls: n, FullBytes: 2 * n, Deltas: 3 * n, DeltaBytes: 4 * n, SavedBytes: 5 * n, FailedDeltas: 6 * n,
		}}}
	}
	event := store.AddEvent{Event: store.Event{Machine: "m"}}
	got := sumDownloads([]store.Change{add("1", 1), event, add("2", 10), add("1", 100), event, add("1", 1000)})
	if diff := cmp.Diff([]store.Change{add("1", 1101), event, add("2", 10), event}, got); diff != "" {
		t.Error(diff)
	}
	if got := sumDownloads(nil); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// Rollouts are shown without their counts when these cannot be read: that is when somebody looks.
func TestRolloutsAreShownWithoutTheDatabase(t *testing.T) {
	f, s := openFleet(t)
	finished := omaha.Event{Type: omaha.DownloadFinished, Result: omaha.Success}
	_, err := f.Contact(t.Context(), contact("m1", finished))
	must(t, err)
	downloads := func() (all []*store.Traffic) {
		rollouts, err := f.Rollouts(t.Context(), "os", "main")
		must(t, err)
		group, err := f.Group(t.Context(), "os", "main")
		must(t, err)
		if len(rollouts) != 1 || len(group.Rollouts) != 1 {
			t.Fatalf("got %+v, %+v", rollouts, group)
		}
		return []*store.Traffic{rollouts[0].Downloads, group.Rollouts[0].Downloads, group.Downloads}
	}
	one := &store.Traffic{Fulls: 1, FullBytes: 1}
	if diff := cmp.Diff([]*store.Traffic{one, one, one}, downloads()); diff != "" {
		t.Error(diff)
	}
	s.broken.Store(true)
	if diff := cmp.Diff([]*store.Traffic{nil, nil, nil}, downloads()); diff != "" {
		t.Error(diff)
	}
}
