package main

import (
	"context"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// follow tells the timeline whenever a machine's agent enters another phase or runs another version, and
// keeps what the verification needs later: every boot that was seen.
func follow(ctx context.Context, t *timeline, m *fleet.Machine) {
	var last fleet.Status
	silent := true
	for ctx.Err() == nil {
		s, err := m.Peek(ctx)
		switch {
		case err != nil && !silent && ctx.Err() == nil:
			silent = true
			t.say(m.Name, "does not answer (%s before)", last.Phase)
		case err == nil && (silent || s.Phase != last.Phase || s.Running.Version != last.Running.Version || s.WaitsFor != last.WaitsFor):
			silent = false
			t.say(m.Name, "%s, %s%s", s.Running.Version, s.Phase, waiting(s))
			last = s
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func waiting(s fleet.Status) string {
	if s.WaitsFor == "" {
		return ""
	}
	return ": " + s.WaitsFor
}
