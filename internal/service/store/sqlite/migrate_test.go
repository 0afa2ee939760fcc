package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// content is what a database holds.
type content struct {
	records  []store.Change
	events   map[string][]store.Event // by application, the newest first
	activity []store.Activity
	samples  []store.Sample
}

// earlier is what is found in a database of each earlier version of the schema after it was upgraded. testdata/VERSION.sql is the whole
// database as it was written with that schema.
var earlier = map[int64]content{1: ofVersion1(), 2: ofVersion2()}

// flatcar is the application id that Flatcar's machines ask by.
const flatcar = "e96281a6-d1af-4bde-9a0a-97b76e56dc57"

func ms(n int64) time.Time { return time.UnixMilli(n).UTC() }

func ofVersion1() content {
	release := func(arch, version, sha256 string, size, added int64) store.Release {
		return store.Release{
			App: "conifer-os", Arch: arch, Version: version, URL: fmt.Sprintf("conifer-os/%s/%s/", arch, version), File: "full.payload",
			SizeBytes: size, SHA256: sha256, Added: ms(added),
		}
	}
	noted := release("amd64", "1.1.0", "ab", 1<<40, 1790000100123)
	noted.Extra, noted.Notes = []store.File{{Name: "x", SizeBytes: 2, SHA256: "cd"}}, "a 'quoted' ☂ note"
	group := func(app, name, channel, percent, budget string) store.PutGroup {
		return store.PutGroup{Group: store.Group{App: app, Name: name, Channel: channel, Percent: percent, ErrorBudget: budget, SilentAfter: "6h"}}
	}
	canary := group("conifer-os", "canary", "alpha", "25", "3")
	canary.Group.Paused = true
	channel := func(app, name string, releases map[string]string) store.PutChannel {
		return store.PutChannel{Channel: store.Channel{App: app, Name: name, Releases: releases}}
	}
	begun := func(group, arch, version string, started int64) store.PutRollout {
		return store.PutRollout{Rollout: store.Rollout{App: "conifer-os", Group: group, Arch: arch, Version: version, Started: ms(started)}}
	}
	event := func(app string, at int64, e store.Event) store.Event {
		e.App, e.Machine, e.At = app, "m1", ms(at)
		return e
	}
	return content{
		records: []store.Change{
			store.PutApp{App: store.App{ID: "conifer-os", Name: "conifer"}},
			store.PutApp{App: store.App{ID: flatcar, Name: "flatcar"}},
			store.PutRelease{Release: release("amd64", "1.0.0", "aa", 1000, 1790000000000)},
			store.PutRelease{Release: noted},
			store.PutRelease{Release: release("arm64", "1.1.0", "ac", 1001, 1790000200000)},
			channel("conifer-os", "alpha", map[string]string{"amd64": "1.1.0", "arm64": "1.1.0"}),
			channel("conifer-os", "stable", map[string]string{"amd64": "1.0.0"}),
			channel("conifer-os", "empty", map[string]string{}),
			channel(flatcar, "stable", map[string]string{}),
			canary,
			group("conifer-os", "edge", "alpha", "0", "0"),
			group("conifer-os", "stable", "stable", "100", "1"),
			group("conifer-os", "waiting", "empty", "100", "1"),
			group(flatcar, "stable", "stable", "100", "1"),
			begun("canary", "amd64", "1.1.0", 1790000100123),
			begun("canary", "arm64", "1.1.0", 1790000200000),
			begun("edge", "amd64", "1.1.0", 1790000100123),
			begun("edge", "arm64", "1.1.0", 1790000200000),
			begun("stable", "amd64", "1.0.0", 1790000000000),
			store.PutHalt{Halt: store.Halt{
				App: "conifer-os", Arch: "amd64", Version: "1.1.0", Reason: "one rolled back", By: "error budget of group canary", At: ms(1790000400001),
			}},
			store.PutMachine{Machine: store.Machine{
				App: "conifer-os", ID: "m1", Alias: "rack 1", Group: "canary", Arch: "amd64",
				Progress: rollout.Progress{State: rollout.RolledBack, Version: "1.0.0", Target: "1.1.0", Code: -2147483604},
				Since:    ms(1790000400123), Address: "192.0.2.1", FirstSeen: ms(1790000300000), LastSeen: ms(1790000400123),
			}},
			store.PutMachine{Machine: store.Machine{
				App: "conifer-os", ID: "m2", Group: "nowhere", Progress: rollout.Progress{State: rollout.Idle},
				Since: ms(1790000300000), FirstSeen: ms(1790000300000), LastSeen: ms(1790000300000),
			}},
			store.PutMachine{Machine: store.Machine{
				App: flatcar, ID: "m1", Group: "stable", Arch: "amd64",
				Progress: rollout.Progress{State: rollout.Downloading, Version: "4081.2.0", Target: "4081.2.1"},
				Since:    ms(1790000500000), Address: "2001:db8::1", FirstSeen: ms(1790000300000), LastSeen: ms(1790000500000),
			}},
			store.PutBar{Bar: store.Bar{
				App: "conifer-os", Machine: "m1", Arch: "amd64", Version: "1.1.0", Group: "canary", State: rollout.RolledBack, Reason: "code 44", At: ms(1790000400000),
			}},
		},
		events: map[string][]store.Event{
			"conifer-os": {
				event("conifer-os", 1790000400000, store.Event{Type: 3, Code: 44, Version: "1.0.0", Previous: "0.9.0", Target: "1.1.0", State: rollout.RolledBack}),
				event("conifer-os", 1790000350000, store.Event{Type: 13, Result: 1, Version: "1.0.0", Target: "1.1.0", State: rollout.Downloading}),
			},
			flatcar: {event(flatcar, 1790000360000, store.Event{Type: 13, Result: 1, Version: "4081.2.0", Target: "4081.2.1", State: rollout.Downloading})},
		},
		activity: []store.Activity{
			{At: ms(1790000400001), Who: "error budget", Text: "halt"},
			{At: ms(1790000100123), Who: "admin", App: "conifer-os", Text: "add release 1.1.0"},
		},
	}
}

// fixtures are the databases of all schemas but the newest. A migration that is added needs one of the schema before it.
func fixtures(t *testing.T) map[int64]string {
	t.Helper()
	sources, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := map[int64]string{}
	for version := int64(1); version < int64(len(sources)); version++ {
		files[version] = filepath.Join("testdata", fmt.Sprintf("%05d.sql", version))
	}
	return files
}

func TestUpgrade(t *testing.T) {
	for version, file := range fixtures(t) {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "conifer.db")
			write(t, path, file)
			before := time.Now().Truncate(time.Second)
			for range 2 { // upgraded, and opened as it is then
				s := open(t, path)
				compare(t, s, earlier[version], before)
				whole(t, s)
				s.Close()
			}
		})
	}
}

// write makes a database from its text.
func write(t *testing.T, path, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(string(text)); err != nil {
		t.Fatal(err)
	}
}

// compare compares what a store holds. Groups that are paused have been so since the upgrade at the latest, since nobody wrote it down before.
func compare(t *testing.T, s *Store, want content, upgraded time.Time) {
	t.Helper()
	records := loaded(t, s)
	for i, c := range records {
		if g, ok := c.(store.PutGroup); ok && g.Group.Paused {
			if g.Group.PausedAt.Before(upgraded) {
				t.Errorf("group %s is paused since %v", g.Group.Name, g.Group.PausedAt)
			}
			g.Group.PausedAt = time.Time{}
			records[i] = g
		}
	}
	if diff := cmp.Diff(sorted(want.records), sorted(records)); diff != "" {
		t.Error(diff)
	}
	for app, want := range want.events {
		events, err := s.Events(t.Context(), app, "", 100)
		if diff := cmp.Diff(want, events); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	for _, want := range want.samples {
		samples, err := s.Samples(t.Context(), want.App, want.Group, want.Step, want.At)
		if diff := cmp.Diff([]store.Sample{want}, samples); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	activity, err := s.Activity(t.Context(), 100)
	if diff := cmp.Diff(want.activity, activity); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func loaded(t *testing.T, s *Store) (all []store.Change) {
	t.Helper()
	if err := s.Load(t.Context(), func(c store.Change) error { all = append(all, c); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func sorted(changes []store.Change) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%T %+v", c, c))
	}
	sort.Strings(lines)
	return lines
}

// whole has SQLite check the file and every reference in it.
func whole(t *testing.T, s *Store) {
	t.Helper()
	var verdict string
	if err := s.reader.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("the file is %s (%v)", verdict, err)
	}
	rows, err := s.reader.Query(`PRAGMA foreign_key_check`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		t.Error("a record refers to one that is not there")
	}
}
