package sqlite

import (
	"time"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// ofVersion2 has one record of each kind with all that version 2 knew of it.
func ofVersion2() content {
	event := func(at int64, e store.Event) store.Event {
		e.App, e.Machine, e.At = "conifer-os", "m1", ms(at)
		return e
	}
	const began = 1790000300000
	return content{
		records: []store.Change{
			store.PutApp{App: store.App{ID: "conifer-os", Name: "conifer", ProductID: "{" + flatcar + "}"}},
			store.PutToken{Token: store.Token{ID: "t1", Name: "ci's token", Role: "operator", SHA256: "9f86d0", Created: ms(began), Expires: ms(began + 1000)}},
			store.PutRelease{Release: store.Release{
				App: "conifer-os", Arch: "amd64", Version: "1.1.0", URL: "conifer-os/amd64/1.1.0/", File: "full.payload", SizeBytes: 1 << 40, SHA256: "ab",
				Extra: []store.File{{Name: "x", SizeBytes: 2, SHA256: "cd"}}, Notes: "a 'quoted' ☂ note", Floor: "moves the state", DeadEnd: "the last", Added: ms(began),
			}},
			store.PutChannel{Channel: store.Channel{App: "conifer-os", Name: "alpha", Releases: map[string]string{"amd64": "1.1.0"}}},
			store.PutGroup{Group: store.Group{
				App: "conifer-os", Name: "canary", Channel: "alpha", Percent: "canary:1:24h,all:100", MaxPerPeriod: "1000/15m", MaxAtOnce: 50,
				ErrorBudget: "2%", Windows: []string{"0 22 * * 1-5; 4h; Europe/Berlin"}, SilentAfter: "7h", Pin: "1.0.0", Downgrade: true,
			}},
			store.PutRollout{Rollout: store.Rollout{
				App: "conifer-os", Group: "canary", Arch: "amd64", Version: "1.1.0", Started: ms(began), Stopped: ms(began + 2000), Reached: 2501, Emergency: true,
			}},
			store.PutHalt{Halt: store.Halt{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Reason: "one rolled back", By: "ann", At: ms(began)}},
			store.PutMachine{Machine: store.Machine{
				App: "conifer-os", ID: "m1", Alias: "rack 1", Group: "canary", Arch: "amd64",
				Progress: rollout.Progress{State: rollout.Downloading, Version: "1.0.0", Target: "1.1.0"},
				Since:    ms(began), Granted: true, Address: "192.0.2.1", FirstSeen: ms(began), LastSeen: ms(began + 3000),
			}},
			store.PutPin{Pin: store.Pin{App: "conifer-os", Machine: "m1", Version: "1.0.0", Downgrade: true, By: "ann", At: ms(began)}},
			store.PutBar{Bar: store.Bar{
				App: "conifer-os", Machine: "m1", Arch: "amd64", Version: "1.1.0", Group: "canary", State: rollout.RolledBack, Reason: "code 44", At: ms(began),
			}},
		},
		events: map[string][]store.Event{"conifer-os": {
			event(began+3000, store.Event{Type: 13, Result: 1, Version: "1.0.0", Target: "1.1.0", State: rollout.Downloading}),
			event(began, store.Event{Type: 3, Code: 44, Version: "1.0.0", Previous: "0.9.0", Target: "1.1.0", State: rollout.RolledBack}),
		}},
		activity: []store.Activity{{At: ms(began), Who: "ada", App: "conifer-os", Text: "pinned machine m1"}},
		samples: []store.Sample{{
			App: "conifer-os", Group: "canary", At: ms(began), Step: time.Hour, States: map[string]int{"idle": 1}, Versions: map[string]int{"1.0.0": 1},
		}},
	}
}
