package fleet

import (
	"context"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// downloaded is what an event adds to the download counts, which is mostly nothing. The machine itself says whether what it downloaded is a delta:
// what it was offered is not remembered, and it may have taken the full payload all the same. A report that comes again finds
// the machine behind its download, and counts no more.
func (a *app) downloaded(group, arch string, before, after rollout.Progress, e omaha.Event) (d store.Downloads, counts bool) {
	r := a.releases[releaseKey{arch, after.Target}]
	if r == nil || after.Target == after.Version {
		return d, false
	}
	d = store.Downloads{App: a.ID, Group: group, Arch: arch, Version: after.Target}
	delta := deltaFrom(r, after.Version)
	switch {
	case e.GaveDeltaUp() && delta != nil:
		d.FailedDeltas = 1
	case e.Type != omaha.DownloadFinished || e.Result != omaha.Success:
		return d, false
	case before.Target == after.Target && (before.State == rollout.Downloaded || before.State == rollout.Installed):
		return d, false
	case e.Payload == omaha.DeltaPayload && delta != nil:
		d.Deltas, d.DeltaBytes, d.SavedBytes = 1, delta.SizeBytes, r.SizeBytes-delta.SizeBytes
	default:
		d.Fulls, d.FullBytes = 1, r.SizeBytes
	}
	return d, true
}

// tallyDownload counts a download. Strangers can name many groups, and only those that there are have counts of their own.
func (f *Fleet) tallyDownload(a *app, d store.Downloads) []store.Change {
	f.Metrics.countDownload(d.Traffic)
	if _, known := a.groups[d.Group]; !known {
		return nil
	}
	return []store.Change{store.AddDownloads{Downloads: d}}
}

// sumDownloads makes one addition of all those to the same count, so that a batch writes each count once.
func sumDownloads(changes []store.Change) []store.Change {
	type key struct{ app, group, arch, version string }
	var places map[key]int
	kept := changes[:0]
	for _, c := range changes {
		add, ok := c.(store.AddDownloads)
		if !ok {
			kept = append(kept, c)
			continue
		}
		k := key{add.Downloads.App, add.Downloads.Group, add.Downloads.Arch, add.Downloads.Version}
		if i, again := places[k]; again {
			sum := kept[i].(store.AddDownloads)
			addTraffic(&sum.Downloads.Traffic, add.Downloads.Traffic)
			kept[i] = sum
			continue
		}
		if places == nil {
			places = map[key]int{}
		}
		places[k] = len(kept)
		kept = append(kept, c)
	}
	return kept
}

func addTraffic(sum *store.Traffic, t store.Traffic) {
	sum.Fulls += t.Fulls
	sum.FullBytes += t.FullBytes
	sum.Deltas += t.Deltas
	sum.DeltaBytes += t.DeltaBytes
	sum.SavedBytes += t.SavedBytes
	sum.FailedDeltas += t.FailedDeltas
}

// addDownloads completes rollouts by their download counts, and returns those of everything that was counted. They are in the store and
// not in the memory; when it does not answer they are left out, because the rest must be seen then all the more.
func (f *Fleet) addDownloads(ctx context.Context, appID, group string, rollouts []admin.RolloutStatus) *store.Traffic {
	counted, err := f.store.Downloads(ctx, appID, group)
	if err != nil {
		f.log.Warn("downloads were not looked up", "error", err)
		return nil
	}
	all := &store.Traffic{}
	of := map[rolloutKey]store.Traffic{}
	for _, d := range counted {
		addTraffic(all, d.Traffic)
		of[rolloutKey{d.Group, d.Arch, d.Version}] = d.Traffic
	}
	for i := range rollouts {
		r := &rollouts[i]
		t := of[rolloutKey{r.Group, r.Arch, r.Version}]
		r.Downloads = &t
	}
	return all
}
