package main

import (
	"bytes"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

const groupPage = `group           fleet of os
channel         stable
state           paused, pinned to 1.0.0
percent         100/7d
max per period  1000/15m, 1000 begun, used up until 2026-11-01T12:15:00Z
max at once     50, 12 under way
error budget    2%
window          0 22 * * 1-5; 4h; Europe/Berlin
silent after    6h
machines        1000
downloads       129 full, 19.4 GB; 870 deltas, 7.0 GB, which saved 124 GB; 1 delta failed
updated         ▁▃▇ 87 %, from 0 % at 2026-11-01T09:00:00Z

VERSION  MACHINES  SHARE
1.10.0   870       ██████████████████████████░░░░ 87 %
1.9.0    129       ████░░░░░░░░░░░░░░░░░░░░░░░░░░ 13 %
unknown  1         █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0.1 %

STATE        MACHINES  SHARE
idle         128       ████░░░░░░░░░░░░░░░░░░░░░░░░░░ 13 %
complete     870       ██████████████████████████░░░░ 87 %
rolled-back  2         █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0.2 %

GROUP  RELEASE  ARCH   STARTED               REACHED           RUNNING  MACHINES  FAILURES  STATE
fleet  1.10.0   amd64  2026-11-01T08:00:00Z  █████████░ 99 %   870      1000      2         emergency
fleet  1.9.0    amd64  2026-10-01T08:00:00Z  ██████████ 100 %  129      1000      0         halted by anna: it is slow

FAILED ON  ARCH   STATE        MACHINES  REASON
1.10.0     amd64  rolled-back  2         rolled back to the previous release (code 44)
`

func TestGroupIsShownOnOnePage(t *testing.T) {
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	halted := store.Halt{By: "anna", Reason: "it is slow"}
	var view groupView
	view.Group = store.Group{
		App: "os", Name: "fleet", Channel: "stable", Paused: true, Percent: "100/7d", MaxPerPeriod: "1000/15m", MaxAtOnce: 50, ErrorBudget: "2%",
		Windows: []string{"0 22 * * 1-5; 4h; Europe/Berlin"}, SilentAfter: "6h", Pin: "1.0.0",
	}
	view.Machines = 1000
	view.Downloads = &store.Traffic{Fulls: 129, FullBytes: 129 * 150e6, Deltas: 870, DeltaBytes: 870 * 8e6, SavedBytes: 870 * 142e6, FailedDeltas: 1}
	view.Versions = map[string]int{"1.9.0": 129, "1.10.0": 870, "": 1}
	view.States = map[string]int{"complete": 870, "idle": 128, "rolled-back": 2, "failed": 0}
	view.Allowance = store.Allowance{Begun: 1000, Open: 12, Again: noon.Add(15 * time.Minute)}
	view.Failures = []admin.Failure{{Version: "1.10.0", Arch: "amd64", State: "rolled-back", Reason: "rolled back to the previous release (code 44)", Machines: 2}}
	view.Rollouts = []admin.RolloutStatus{
		{Rollout: store.Rollout{Group: "fleet", Arch: "amd64", Version: "1.10.0", Started: noon.Add(-4 * time.Hour), Emergency: true},
			ReachedPercent: 99, Machines: 1000, Running: 870, Failures: 2},
		{Rollout: store.Rollout{Group: "fleet", Arch: "amd64", Version: "1.9.0", Started: noon.AddDate(0, -1, 0).Add(-4 * time.Hour), Stopped: noon},
			ReachedPercent: 100, Machines: 1000, Running: 129, Halt: &halted},
	}
	for i, running := range []int{0, 300, 870} {
		view.Series = append(view.Series, store.Sample{
			At: noon.Add(time.Duration(i-3) * time.Hour), Versions: map[string]int{"1.9.0": 1000 - running, "1.10.0": running},
		})
	}
	var page bytes.Buffer
	w := tabwriter.NewWriter(&page, 0, 8, 2, ' ', 0)
	printGroup(w, view)
	w.Flush()
	if diff := cmp.Diff(groupPage, page.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSeriesGoesBackToTheBeginningOfTheRollout(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct{ age, since, step time.Duration }{
		{time.Minute, day, 5 * time.Minute},
		{30 * time.Hour, 30 * time.Hour, 5 * time.Minute},
		{9 * day, 9 * day, time.Hour},
		{90 * day, 90 * day, day},
	} {
		since, step := seriesSince([]admin.RolloutStatus{{Rollout: store.Rollout{Started: now.Add(-c.age)}}}, now)
		if now.Sub(since) != c.since || step != c.step {
			t.Errorf("a rollout of %s is shown since %s by %s, want %s by %s", c.age, now.Sub(since), step, c.since, c.step)
		}
	}
}
