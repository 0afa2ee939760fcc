package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// phase is a time in which one thing was done.
type phase struct {
	Name      string
	From, To  time.Time
	Root      time.Duration // of an update, until the root was written and only the UKI was left
	Machine   time.Duration // CPU of the host that the machine took
	Elsewhere time.Duration // CPU of the host that everything else took
	Drive     transfers
	Cost      cost // of an update
}

func (p phase) seconds() float64 { return p.To.Sub(p.From).Seconds() }

// meanwhile measures what happens while do runs.
func (w *world) meanwhile(name string, do func() error) (phase, error) {
	drive, err := w.monitor.transfers()
	if err != nil {
		return phase{}, err
	}
	machine, host := w.machine.CPUTime(), hostCPU()
	p := phase{Name: name, From: time.Now()}
	if err := do(); err != nil {
		return p, err
	}
	p.To = time.Now()
	after, err := w.monitor.transfers()
	p.Drive = after.since(drive)
	p.Machine = w.machine.CPUTime() - machine
	p.Elsewhere = hostCPU() - host - p.Machine
	return p, err
}

// hostCPU is what all processes of the host have used, from the first line of proc(5)'s stat: all but idle and waiting for a disk.
func hostCPU() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	const idle, iowait, guest, ticksPerSecond = 4, 5, 9, 100 // a guest's time is in its user's, too
	var ticks int64
	for i, f := range strings.Fields(line) {
		if i > 0 && i != idle && i != iowait && i < guest {
			n, _ := strconv.ParseInt(f, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// The phases.
const (
	quiet   = "nothing else"
	looping = "a loop that only computes, with the weight of nothing"
	delta   = "update by a delta"
	full    = "update by the full payload"
)

// wait lets a time pass. The agent is asked as often as during an update.
func (w *world) wait(ctx context.Context, name string, d time.Duration) (phase, error) {
	return w.meanwhile(name, func() error {
		end := time.Now().Add(d)
		return lab.Await(ctx, "the end of a pause", d+time.Minute, func(ctx context.Context) (bool, string) {
			_, err := w.machine.Peek(ctx)
			return time.Now().After(end), fmt.Sprint(err)
		})
	})
}

// loop keeps the guest's processor busy with what everything else goes before. What an application suffers from that, it suffers because
// the processor is never idle, on the guest and on a host with other work; only what an update adds to it is the update's.
func (w *world) loop(ctx context.Context, d time.Duration) (phase, error) {
	const start = "systemd-run --quiet --unit=loop --property=CPUWeight=idle sh -c 'while :; do :; done'"
	if _, err := w.machine.Run(ctx, start); err != nil {
		return phase{}, err
	}
	p, err := w.wait(ctx, looping, d)
	if err != nil {
		return p, err
	}
	_, err = w.machine.Run(ctx, "systemctl stop loop")
	return p, err
}

// updateLimit is what one installation stays far below.
const updateLimit = 20 * time.Minute

// install offers a release and measures from when the agent begins until it waits for the reboot.
func (w *world) install(ctx context.Context, name string, r fleet.Recipe) (p phase, err error) {
	if err := w.forget(ctx); err != nil {
		return p, err
	}
	before, err := w.cost(ctx)
	if err != nil {
		return p, err
	}
	if err := w.offer(ctx, r); err != nil {
		return p, err
	}
	if err := w.reaches(ctx, "installing", time.Minute); err != nil {
		return p, err
	}
	var root time.Time
	p, err = w.meanwhile(name, func() error {
		return w.follow(ctx, "installed", updateLimit, func(s fleet.Status) {
			if root.IsZero() && s.Progress != nil && s.Progress.DoneBytes >= w.rootBytes[r.Version] {
				root = time.Now()
			}
		})
	})
	if err != nil {
		return p, err
	}
	if !root.IsZero() {
		p.Root = root.Sub(p.From)
	}
	after, err := w.cost(ctx)
	p.Cost = after.since(before)
	return p, err
}

// forget takes back what was offered before, so that nothing of it is taken up again. Then the agent starts anew, so that its peaks are
// those of what comes, and the machine forgets what it has in memory of its disk.
func (w *world) forget(ctx context.Context) error {
	if err := w.offer(ctx, fleet.AsReleased); err != nil {
		return err
	}
	if err := w.reaches(ctx, "idle", time.Minute); err != nil {
		return err
	}
	_, err := w.machine.Run(ctx, "systemctl stop conifer-agent; rm -f /var/lib/conifer/install.json; sync; echo 3 >/proc/sys/vm/drop_caches; systemctl start conifer-agent")
	return err
}

// reaches waits for a phase of the agent.
func (w *world) reaches(ctx context.Context, state string, limit time.Duration) error {
	return w.follow(ctx, state, limit, func(fleet.Status) {})
}

// follow waits for a phase of the agent, and shows what it says until then.
func (w *world) follow(ctx context.Context, state string, limit time.Duration, show func(fleet.Status)) error {
	return lab.Await(ctx, "the agent to be "+state, limit, func(ctx context.Context) (bool, string) {
		s, err := w.machine.Peek(ctx)
		if err != nil {
			return false, err.Error()
		}
		show(s)
		return s.Phase == state, fmt.Sprintf("it is %s: %s", s.Phase, s.Summary)
	})
}
