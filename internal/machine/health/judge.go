package health

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// Manager is the system manager.
type Manager interface {
	// State is what `systemctl is-system-running` says.
	State(ctx context.Context) (string, error)
	// Units lists the units as Facts wants them.
	Units(ctx context.Context) ([]Unit, error)
}

// Judge collects the facts about this machine.
type Judge struct {
	Manager Manager
	// Reach tells whether the update service can be reached.
	Reach func(ctx context.Context) error
	// Folder holds the health programs.
	Folder string
	// ProgramTimeout is how long each of them may take.
	ProgramTimeout time.Duration
	Deadline       time.Duration
	Settle         time.Duration
	// Pause is the time between two looks.
	Pause time.Duration
}

// Baseline is what must be remembered before an update: the units that have failed already.
func (j *Judge) Baseline(ctx context.Context) ([]string, error) {
	units, err := j.Manager.Units(ctx)
	if err != nil {
		return nil, err
	}
	return FailedUnits(units), nil
}

// Watch looks until there is a verdict. Each reason to go on waiting is told once. The error is of kind Canceled, when
// ctx ended before the verdict.
func (j *Judge) Watch(ctx context.Context, baseline []string, pending func(why string)) (v Verdict, why string, err error) {
	course := &Course{Deadline: j.Deadline, Settle: j.Settle, Baseline: baseline}
	start := time.Now()
	told := ""
	for {
		facts := j.look(ctx)
		if ctx.Err() != nil {
			return Pending, "", fault.New(fault.Canceled, "judge health: %w", context.Cause(ctx))
		}
		v, why = course.Next(time.Since(start), facts)
		if v != Pending {
			return v, why, nil
		}
		if why != told {
			pending(why)
			told = why
		}
		select {
		case <-time.After(j.Pause):
		case <-ctx.Done():
		}
	}
}

// look collects the facts. What cannot be learnt is a fact too: a system manager that does not answer is not up. The
// programs run last, and only when everything else is well.
func (j *Judge) look(ctx context.Context) Facts {
	f := Facts{}
	var err error
	if f.System, err = j.Manager.State(ctx); err != nil {
		f.System = "not answering: " + err.Error()
		return f
	}
	if f.Units, err = j.Manager.Units(ctx); err != nil {
		f.System = "not answering: " + err.Error()
		return f
	}
	if err := j.Reach(ctx); err != nil {
		f.Unreachable = err.Error()
		return f
	}
	if err := runPrograms(ctx, j.Folder, j.ProgramTimeout); err != nil {
		f.Program = err.Error()
	}
	return f
}
