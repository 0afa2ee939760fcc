package main

import (
	"context"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// follow tells the timeline whenever a machine's agent enters another phase or runs another version, and what it
// waits for, each reason once in a phase.
func follow(ctx context.Context, t *timeline, m *fleet.Machine) {
	var last fleet.Status
	told := map[string]bool{}
	silent := true
	for ctx.Err() == nil {
		s, err := m.Peek(ctx)
		moved := silent || s.Phase != last.Phase || s.Running.Version != last.Running.Version
		switch {
		case err != nil && !silent && ctx.Err() == nil:
			silent = true
			t.say(m.Name, "does not answer (%s before)", last.Phase)
		case err == nil && moved:
			silent, last = false, s
			clear(told)
			t.say(m.Name, "%s, %s", s.Running.Version, s.Phase)
		}
		if err == nil && s.WaitsFor != "" && !told[s.WaitsFor] {
			told[s.WaitsFor] = true
			t.say(m.Name, "%s, %s: %s", s.Running.Version, s.Phase, s.WaitsFor)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}
