package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/store"
)

var downloads = map[string]func(*testing.T, Database){
	"downloads add up":                         testDownloadsAddUp,
	"downloads go with their release or group": testDownloadsGo,
}

// downloaded is n downloads of each kind of a release by a group.
func downloaded(group, version string, n int64) store.Downloads {
	return store.Downloads{
		App: app, Group: group, Arch: "amd64", Version: version,
		Traffic: store.Traffic{Fulls: n, FullBytes: n << 40, Deltas: 2 * n, DeltaBytes: 3 * n, SavedBytes: 4 * n, FailedDeltas: 5 * n},
	}
}

func expectDownloads(t *testing.T, s Store, group string, want ...store.Downloads) {
	t.Helper()
	got, err := s.Downloads(t.Context(), app, group)
	must(t, err)
	if diff := cmp.Diff(append([]store.Downloads{}, want...), got); diff != "" {
		t.Errorf("group %q: %s", group, diff)
	}
}

func testDownloadsAddUp(t *testing.T, d Database) {
	s := filled(t, d)
	expectDownloads(t, s, "")
	foreign := downloaded("canary", "1.1.0", 9)
	foreign.App = "bare"
	arm := downloaded("canary", "1.1.0", 7)
	arm.Arch = "arm64"
	for _, one := range []store.Downloads{
		downloaded("stable", "1.1.0", 1), downloaded("canary", "1.2.0", 2), downloaded("canary", "1.1.0", 3), foreign, arm, {App: app, Group: "canary"},
	} {
		apply(t, s, store.AddDownloads{Downloads: one})
	}
	apply(t, s, store.AddDownloads{Downloads: downloaded("canary", "1.1.0", 10)}, store.AddDownloads{Downloads: downloaded("canary", "1.1.0", 100)})
	canary := []store.Downloads{{App: app, Group: "canary"}, downloaded("canary", "1.1.0", 113), downloaded("canary", "1.2.0", 2), arm}
	expectDownloads(t, s, "canary", canary...)
	expectDownloads(t, s, "", append(canary, downloaded("stable", "1.1.0", 1))...)
	expectDownloads(t, s, "nobody")
	must(t, s.Close())
	expectDownloads(t, opened(t, d), "canary", canary...)
}

func testDownloadsGo(t *testing.T, d Database) {
	s := filled(t, d)
	arm := downloaded("stable", "1.1.0", 3)
	arm.Arch = "arm64"
	for _, one := range []store.Downloads{downloaded("stable", "1.1.0", 1), downloaded("canary", "1.0.0", 2), downloaded("stable", "1.0.0", 4), arm} {
		apply(t, s, store.AddDownloads{Downloads: one})
	}
	unpointed := store.PutChannel{Channel: store.Channel{App: app, Name: "alpha", Releases: map[string]string{}}}
	for range 2 {
		apply(t, s, unpointed, store.RemoveRelease{App: app, Arch: "amd64", Version: "1.1.0"}, store.RemoveGroup{App: app, Name: "canary"})
		expectDownloads(t, s, "", downloaded("stable", "1.0.0", 4), arm)
	}
}
