package agent

import "conifer.dev/conifer/internal/machine/update"

// tell logs what a step has changed: what people look for after the fact. Error means that a person must act.
func (a *Agent) tell(before, after update.State) {
	if head := after.Headline(); head != before.Headline() {
		a.Log.Info("state", "state", head)
		a.Notify("STATUS=" + head)
	}
	if w := after.Live.Waiting; w != "" && w != before.Live.Waiting {
		a.Log.Info("waiting", "for", w)
	}
	if after.Lock != before.Lock {
		a.Log.Info("reboot lock", "lock", after.Lock)
	}
	if d := after.Live.Declined; d != "" && d != before.Live.Declined {
		a.Log.Warn("offered release failed here before", "version", d, "why", after.Failed[d].Why)
	}
	for version, failure := range after.Failed {
		if _, known := before.Failed[version]; !known {
			a.count.failed.Add(1)
			a.Log.Error("release failed here", "version", version, "why", failure.Why)
		}
	}
	if after.Target.Delta == "" && before.Target.Delta != "" && after.Phase == update.Installing {
		a.count.deltasFailed.Add(1)
	}
	if p := after.Problem; p != nil && (before.Problem == nil || *p != *before.Problem) {
		a.Log.Warn("problem", "version", p.Version, "kind", p.Kind, "why", p.Why)
	}
	if after.Newest != before.Newest {
		a.Log.Info("newest committed", "version", after.Newest)
	}
}
