// Package agent is the program that keeps a machine evergreen: the loop around internal/machine/update, and what
// carries its effects out.
//
// Start with [Main], which builds an [Agent] for this machine from a [Config], and [Agent.Run], the loop. Every decision
// is taken by package update; what is here fetches, verifies, writes, asks and reports. It trusts nothing that
// the service says: releases come from TUF metadata, their bytes from digests in it. It never changes the running
// slot, and holds no secret.
//
// It speaks Omaha 3.0 with the service, TUF 1.0 with the repository and FleetLock with the cluster; docs/design/agent.md says why it is
// built like this.
package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// Service is the update service.
type Service interface {
	// Check asks for an offer; none means that there is nothing to do. The pause is when it wants to be asked again, or 0.
	Check(ctx context.Context, running string, how update.Check) (offer *update.Offer, pause time.Duration, err error)
	// Report delivers reports, in their order.
	Report(ctx context.Context, reports []update.Report) error
}

// Repository is where releases are, and what makes them trusted.
type Repository interface {
	// Verify gives the signed description of an offered release, and when another payload than the full one is offered, of the
	// delta from what runs. It refuses a release that is older than newest unless a signature allows that.
	Verify(ctx context.Context, offer update.Offer, running, newest string) (Signed, error)
	// Payload gives the bytes of a payload, from any of the folders that hold the release.
	Payload(codebases []string, p *release.Payload) install.Source
}

// Signed is what signatures say of an offer.
type Signed struct {
	Release          *release.Release
	DowngradeAllowed bool
	Delta            *release.Delta // nil for none
	NoDelta          error          // why a delta was offered and is not taken
}

// Lock is the reboot lock of the cluster.
type Lock interface {
	Acquire(ctx context.Context) error // kind Busy when others hold it
	Release(ctx context.Context) error
}

// Loader is the boot loader, as far as it can be told what to start next.
type Loader interface {
	Check() error // kind Unsupported when it cannot
	StartOnce(pattern string) error
}

// Health judges the release that runs.
type Health interface {
	Baseline(ctx context.Context) ([]string, error)
	Watch(ctx context.Context, baseline []string, pending func(why string)) (health.Verdict, string, error)
}

// Agent is the loop and its tools. All fields but the unexported ones are set before Run.
type Agent struct {
	Policy     update.Policy
	BootID     string
	Running    update.Release
	Names      Names
	Store      *Store
	Disk       *Disk
	Service    Service
	Repository Repository
	Lock       Lock // nil without a reboot lock
	Loader     Loader
	Health     Health
	Reboot     func(ctx context.Context) error
	Random     func() float64
	// Spare makes the process small before a transfer, which takes the most memory; nil for nothing. See package memory.
	Spare func() error
	Log   *slog.Logger
	// Notify tells the service manager; see sd_notify(3).
	Notify func(state string)
	// Watchdog is how often Notify must be told that the loop is alive, or 0.
	Watchdog time.Duration

	once     sync.Once
	start    time.Time
	events   chan update.Event
	workers  sync.WaitGroup
	verified verified
	meter    meter
	limit    throttle
	count    counters

	mu    sync.Mutex
	state update.State // what the last step left
	stuck string       // why the state cannot be saved, or ""
}

// Run is the life of the agent: it ends when ctx does, at once and at any point, because the next life goes on from what
// is durable. An error means that it could not even begin.
func (a *Agent) Run(ctx context.Context) error {
	a.once.Do(a.init)
	ctx, cancel := context.WithCancel(ctx)
	defer a.workers.Wait()
	defer cancel()
	state, err := a.Store.Load(a.Log)
	if err != nil {
		return err
	}
	entries, err := a.Disk.Entries()
	if err != nil {
		return err
	}
	a.set(state)
	a.step(ctx, update.Started{BootID: a.BootID, Running: a.Running, Entries: entries})
	a.Log.Info("agent ready", "running", a.Running.Version, "state", a.snapshot().Headline())
	a.Notify("READY=1")
	return a.loop(ctx)
}

// init comes before anybody can look at the agent.
func (a *Agent) init() {
	a.start = time.Now()
	a.events = make(chan update.Event)
	a.state = update.New()
}

func (a *Agent) loop(ctx context.Context) error {
	alive := time.NewTicker(orNever(a.Watchdog / 2))
	defer alive.Stop()
	for ctx.Err() == nil {
		wake := time.NewTimer(a.untilWake())
		select {
		case <-ctx.Done():
		case e := <-a.events:
			a.step(ctx, e)
		case <-wake.C:
			a.step(ctx, update.Tick{})
		case <-alive.C:
			a.Notify("WATCHDOG=1")
		}
		wake.Stop()
	}
	a.Notify("STOPPING=1")
	return nil
}

// never is longer than any machine runs.
const never = 100 * 365 * 24 * time.Hour

func orNever(d time.Duration) time.Duration {
	if d <= 0 {
		return never
	}
	return d
}

func (a *Agent) untilWake() time.Duration {
	wake, ok := a.snapshot().Wake()
	if !ok {
		return never
	}
	return max(wake-time.Since(a.start), 0)
}

// step takes one step of the state machine and carries its effects out: what must be durable here and in order, the
// rest on its own. When ctx ends before the state is durable, nothing more is done.
func (a *Agent) step(ctx context.Context, e update.Event) {
	before := a.snapshot()
	at := update.Moment{Now: time.Now(), Elapsed: time.Since(a.start), Random: a.Random()}
	state, effects := a.Policy.Step(before, at, e)
	for _, effect := range effects {
		switch effect := effect.(type) {
		case update.Save:
			if !a.insist(ctx, "save state", func() error { return a.Store.Save(state) }) {
				return
			}
		case update.Mark:
			if !a.insist(ctx, "mark trial", func() error { return a.Store.Mark(effect.Version) }) {
				return
			}
		}
	}
	a.set(state)
	a.tell(before, state)
	for _, effect := range effects {
		a.begin(ctx, effect)
	}
}

// begin carries out an effect that answers with an event.
func (a *Agent) begin(ctx context.Context, effect update.Effect) {
	a.workers.Go(func() {
		if event := a.perform(ctx, effect); event != nil {
			a.post(ctx, event)
		}
	})
}

// post hands an event to the loop, unless the loop has ended.
func (a *Agent) post(ctx context.Context, e update.Event) bool {
	select {
	case a.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

// insist repeats what must not be left out until it succeeds: a full disk may be emptied. It reports false when ctx
// ended before that.
func (a *Agent) insist(ctx context.Context, what string, do func() error) bool {
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		err := do()
		a.setStuck(what, err)
		if err == nil {
			return true
		}
		a.Log.Error("cannot go on", "what", what, "error", err)
		a.Notify("WATCHDOG=1")
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

func (a *Agent) setStuck(what string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stuck = ""
	if err != nil {
		a.stuck = what + ": " + err.Error()
	}
}

func (a *Agent) set(state update.State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = state
}

func (a *Agent) snapshot() update.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state
}
