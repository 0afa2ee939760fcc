package agent

import (
	"context"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
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
		return a.install(ctx, effect.Target)
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
	offer, pause, err := a.Service.Check(ctx, a.Running.Version, e)
	if err != nil {
		a.count.checksFailed.Add(1)
		return update.CheckFailed{Fault: update.FaultOf(err)}
	}
	a.count.lastCheck.Store(time.Now().Unix())
	return update.CheckAnswered{Offer: offer, PollAfter: pause}
}

// verified remembers what was verified last, so that its installation need not fetch it again.
type verified struct {
	mu     sync.Mutex
	signed Signed
}

func (v *verified) set(signed Signed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.signed = signed
}

// of gives the release that a target names.
func (v *verified) of(t update.Target) (Signed, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	rel := v.signed.Release
	return v.signed, rel != nil && rel.Version == t.Version && rel.Root.Hash == t.RootHash
}

func (a *Agent) verify(ctx context.Context, e update.Verify) update.Event {
	signed, err := a.signed(ctx, e.Offer, e.Newest)
	if err != nil {
		return update.Refused{Version: e.Offer.Version, Fault: update.FaultOf(err)}
	}
	rel := signed.Release
	target := update.Target{
		Release: update.Release{Version: rel.Version, RootHash: rel.Root.Hash}, Codebase: e.Offer.Codebases[0], Mirrors: e.Offer.Codebases[1:],
	}
	if signed.Delta != nil {
		target.Delta = signed.Delta.Name
	}
	event := update.Verified{Target: target, DowngradeAllowed: signed.DowngradeAllowed}
	if err := a.Loader.Check(); err != nil {
		event.Unsteerable = err.Error()
	}
	return event
}

// signed asks the repository, and remembers what it gave.
func (a *Agent) signed(ctx context.Context, offer update.Offer, newest string) (Signed, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	signed, err := a.Repository.Verify(ctx, offer, a.Running.Version, newest)
	if err != nil {
		return Signed{}, err
	}
	if signed.NoDelta != nil {
		a.Log.Warn("no delta, the full payload is taken", "version", offer.Version, "offered", offer.Payload, "why", signed.NoDelta)
	}
	a.verified.set(signed)
	return signed, nil
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
