package agent

import (
	"context"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// How long one conversation with a peer may take altogether. A download has no limit but must not stand still.
const (
	askTimeout    = time.Minute
	verifyTimeout = 5 * time.Minute
)

// perform carries out one effect and gives the event that answers it, or nil.
func (a *Agent) perform(ctx context.Context, effect update.Effect) update.Event {
	switch effect := effect.(type) {
	case update.Check:
		return a.check(ctx, effect)
	case update.Verify:
		return a.verify(ctx, effect)
	case update.Install:
		return answer(a.install(ctx, effect.Target), update.InstallDone{}, func(f update.Fault) update.Event { return update.InstallFailed{Fault: f} })
	case update.Retire:
		return answer(a.Disk.Retire(), update.RetireDone{}, func(f update.Fault) update.Event { return update.RetireFailed{Fault: f} })
	case update.AskLock:
		return a.askLock(ctx)
	case update.ReleaseLock:
		return answer(a.releaseLock(ctx), update.LockReleased{}, func(f update.Fault) update.Event { return update.LockUnreachable{Fault: f} })
	case update.TakeBaseline:
		return a.takeBaseline(ctx)
	case update.Reboot:
		return a.reboot(ctx, effect.Once)
	case update.Judge:
		return a.judge(ctx, effect)
	case update.Commit:
		return answer(a.Disk.Commit(effect.Version), update.CommitDone{}, func(f update.Fault) update.Event { return update.CommitFailed{Fault: f} })
	case update.Remove:
		return answer(a.Disk.Remove(effect.Version), update.EntryRemoved{}, func(f update.Fault) update.Event { return update.RemoveFailed{Fault: f} })
	case update.Send:
		return a.send(ctx, effect)
	}
	return nil
}

func answer(err error, done update.Event, failed func(update.Fault) update.Event) update.Event {
	if err != nil {
		return failed(update.FaultOf(err))
	}
	return done
}

func (a *Agent) check(ctx context.Context, e update.Check) update.Event {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a.count.checks.Add(1)
	offer, pause, err := a.Service.Check(ctx, a.Running.Version, e.Manual)
	if err != nil {
		a.count.checksFailed.Add(1)
		return update.CheckFailed{Fault: update.FaultOf(err)}
	}
	a.count.lastCheck.Store(time.Now().Unix())
	return update.CheckAnswered{Offer: offer, PollAfter: pause}
}

// verified remembers the release that was verified last, so that its installation need not fetch it again.
type verified struct {
	mu  sync.Mutex
	rel *release.Release
}

func (v *verified) set(rel *release.Release) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rel = rel
}

// of gives the release that a target names, or nil.
func (v *verified) of(t update.Target) *release.Release {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rel == nil || v.rel.Version != t.Version || v.rel.Root.Hash != t.RootHash {
		return nil
	}
	return v.rel
}

func (a *Agent) verify(ctx context.Context, e update.Verify) update.Event {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	rel, allowed, err := a.Repository.Verify(ctx, e.Offer, e.Newest)
	if err != nil {
		return update.Refused{Version: e.Offer.Version, Fault: update.FaultOf(err)}
	}
	a.verified.set(rel)
	target := update.Target{Release: update.Release{Version: rel.Version, RootHash: rel.Root.Hash}, Codebase: e.Offer.Codebase}
	event := update.Verified{Target: target, DowngradeAllowed: allowed}
	if err := a.Loader.Check(); err != nil {
		event.Unsteerable = err.Error()
	}
	return event
}

// install writes the target. After a restart the release is verified again: only its name and root hash were saved.
func (a *Agent) install(ctx context.Context, target update.Target) error {
	rel := a.verified.of(target)
	if rel == nil {
		var err error
		offer := update.Offer{Version: target.Version, Codebase: target.Codebase}
		if rel, _, err = a.Repository.Verify(ctx, offer, a.snapshot().Newest); err != nil {
			return err
		}
		if rel.Root.Hash != target.RootHash {
			return fault.New(fault.Conflict, "release %s has root hash %s, but %s was chosen", rel.Version, rel.Root.Hash, target.RootHash)
		}
		a.verified.set(rel)
	}
	a.meter.begin(rel.Payload.SizeBytes)
	defer func() {
		a.meter.end()
		a.Log.Info("payload transferred", "version", rel.Version, "downloaded_bytes", a.meter.downloaded.Load())
	}()
	src := a.meter.source(a.Repository.Payload(target.Codebase, rel))
	return a.Disk.Install(ctx, rel, src, a.progress())
}

func (a *Agent) askLock(ctx context.Context) update.Event {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := a.Lock.Acquire(ctx)
	switch {
	case err == nil:
		return update.LockGranted{}
	case fault.Is(err, fault.Busy):
		return update.LockDenied{Why: err.Error()}
	}
	return update.LockUnreachable{Fault: update.FaultOf(err)}
}

func (a *Agent) releaseLock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return a.Lock.Release(ctx)
}

// takeBaseline lists the failed units. Without an answer nothing is forgiven later, which is the strict side.
func (a *Agent) takeBaseline(ctx context.Context) update.Event {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	units, err := a.Health.Baseline(ctx)
	if err != nil {
		a.Log.Warn("failed units are unknown", "error", err)
	}
	return update.BaselineTaken{Units: units}
}

// reboot tells the boot loader what to start, when it would start something else, as the last thing before it.
func (a *Agent) reboot(ctx context.Context, once string) update.Event {
	if once != "" {
		if err := a.Loader.StartOnce(slots.EntryPattern(once)); err != nil {
			return update.SteerFailed{Fault: update.FaultOf(err)}
		}
		a.Log.Info("boot loader told", "start_once", once)
	}
	a.Log.Info("reboot", "state", a.snapshot().Headline())
	if err := a.Reboot(ctx); err != nil {
		return update.RebootFailed{Fault: update.FaultOf(err)}
	}
	return nil
}

func (a *Agent) judge(ctx context.Context, e update.Judge) update.Event {
	pending := func(why string) { a.post(ctx, update.Pending{Why: why}) }
	verdict, why, err := a.Health.Watch(ctx, e.Baseline, pending)
	switch {
	case err != nil:
		return nil // the agent is ending; the next one judges anew
	case verdict == health.Healthy:
		return update.Healthy{}
	}
	return update.Failing{Why: why}
}

func (a *Agent) send(ctx context.Context, e update.Send) update.Event {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := a.Service.Report(ctx, e.Reports); err != nil {
		return update.ReportFailed{Fault: update.FaultOf(err)}
	}
	a.count.reports.Add(int64(len(e.Reports)))
	return update.ReportSent{Through: e.Reports[len(e.Reports)-1].Number}
}
