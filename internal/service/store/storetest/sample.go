package storetest

import (
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// app is the application of most records here.
const app = "conifer-os"

// whole has one record of every kind with every field set, in an order in which each refers only to what is before it.
func whole() []store.Change {
	return []store.Change{
		store.PutApp{App: store.App{ID: app, Name: "conifer", ProductID: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"}},
		store.PutToken{Token: store.Token{
			ID: "t1", Name: "ci's token", Role: "operator", SHA256: "9f86d0", Created: noon, Expires: noon.Add(time.Hour),
		}},
		store.PutRelease{Release: store.Release{
			App: app, Arch: "amd64", Version: "1.1.0", URL: "conifer-os/amd64/1.1.0/", File: "full.payload", SizeBytes: 1 << 40, SHA256: "ab",
			Extra: []store.File{{Name: "x", SizeBytes: 2, SHA256: "cd"}, {Name: "y", SizeBytes: 3, SHA256: "ef"}},
			Deltas: []store.Delta{
				{From: "1.0.0", Features: []string{"delta-1", "delta-2"}, File: store.File{Name: "from-1.0.0.payload", SizeBytes: 4, SHA256: "12"}},
				{From: "1.0.5", Features: []string{"delta-1"}, File: store.File{Name: "from-1.0.5.payload", SizeBytes: 1 << 40, SHA256: "34"}},
			},
			Notes: "a 'quoted' ☂ note\n", Floor: "moves the state", DeadEnd: "cannot update itself", Added: noon,
		}},
		store.PutChannel{Channel: store.Channel{App: app, Name: "alpha", Releases: map[string]string{"amd64": "1.1.0"}}},
		store.PutGroup{Group: store.Group{
			App: app, Name: "canary", Channel: "alpha", Paused: true, PausedAt: noon, Percent: "canary:1:24h,early:10:48h,all:100",
			MaxPerPeriod: "1000/15m", MaxAtOnce: 50, ErrorBudget: "2%", Windows: []string{"0 22 * * 1-5; 4h; Europe/Berlin", "0 6 * * 6; 1h; UTC"},
			SilentAfter: "6h", Pin: "1.0.0", Downgrade: true,
		}},
		store.PutRollout{Rollout: store.Rollout{
			App: app, Group: "canary", Arch: "amd64", Version: "1.1.0", Started: noon, Stopped: noon.Add(time.Hour), Reached: 2501, Emergency: true,
		}},
		store.PutHalt{Halt: store.Halt{App: app, Arch: "amd64", Version: "1.1.0", Reason: "one rolled back", By: "error budget", At: noon}},
		store.PutMachine{Machine: store.Machine{
			App: app, ID: "m1", Alias: "rack 1", Group: "canary", Arch: "amd64",
			Progress: rollout.Progress{State: rollout.RolledBack, Version: "1.0.0", Target: "1.1.0", Code: -2147483604},
			Since:    noon.Add(time.Minute), Granted: true, Address: "192.0.2.1", FirstSeen: noon, LastSeen: noon.Add(time.Hour),
		}},
		store.PutPin{Pin: store.Pin{App: app, Machine: "m1", Version: "1.0.0", Downgrade: true, By: "ann", At: noon}},
		store.PutBar{Bar: store.Bar{
			App: app, Machine: "m1", Arch: "amd64", Version: "1.1.0", Group: "canary", State: rollout.RolledBack, Reason: "code 44", At: noon,
		}},
	}
}

// bare has records with nothing set but their keys and what must refer to another one.
func bare() []store.Change {
	return []store.Change{
		store.PutApp{App: store.App{ID: "bare", Name: "bare"}},
		store.PutToken{Token: store.Token{ID: "bare"}},
		store.PutRelease{Release: store.Release{App: "bare", Arch: "arm64", Version: "1"}},
		store.PutChannel{Channel: store.Channel{App: "bare", Name: "none", Releases: map[string]string{}}},
		store.PutGroup{Group: store.Group{App: "bare", Name: "g", Channel: "none"}},
		store.PutRollout{Rollout: store.Rollout{App: "bare", Group: "g", Arch: "arm64", Version: "1"}},
		store.PutHalt{Halt: store.Halt{App: "bare", Arch: "arm64", Version: "1"}},
		store.PutMachine{Machine: store.Machine{App: "bare", ID: "m"}},
		store.PutPin{Pin: store.Pin{App: "bare", Machine: "m"}},
		store.PutBar{Bar: store.Bar{App: "bare", Machine: "m", Version: "1"}},
	}
}

// without is changes without the records that leave out picks.
func without(changes []store.Change, out func(store.Change) bool) []store.Change {
	var kept []store.Change
	for _, c := range changes {
		if !out(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// is picks the changes of one type.
func is[T store.Change](c store.Change) bool {
	_, ok := c.(T)
	return ok
}
