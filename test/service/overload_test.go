package service

import (
	"syscall"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// slowDown gives a server a small part of the time, as a machine does that is so much smaller, until the test ends. Without it
// the load that is too much for the service would be too much for who makes it.
func slowDown(t *testing.T, s *server.Server) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			syscall.Kill(s.PID(), syscall.SIGSTOP)
			select {
			case <-done:
				syscall.Kill(s.PID(), syscall.SIGCONT)
				return
			case <-time.After(19 * time.Millisecond):
			}
			syscall.Kill(s.PID(), syscall.SIGCONT)
			time.Sleep(time.Millisecond)
		}
	}()
	t.Cleanup(func() { close(done); <-ended })
}

// measure runs a load of polls and events against a server.
func measure(t *testing.T, s *server.Server, connections int, rate float64, fresh bool, d time.Duration) load.Result {
	t.Helper()
	result, err := load.Run(t.Context(), load.Plan{
		Target: s.Target(), Fleet: load.Flatcar("stable", server.NewVersion), Mode: load.Poll, Machines: 1000, EventShare: .05,
		Connections: connections, Rate: rate, Fresh: fresh, Warmup: d / 4, Duration: d, Watch: []load.Process{s.Process()},
	})
	must(t, err)
	return result
}

// served is how many requests were answered in a second otherwise than by 503.
func served(r load.Result) float64 {
	return float64(r.Requests-r.Of(load.Busy).Count) / r.Elapsed.Seconds()
}

// When five times as many requests are due as it can carry, the service sheds, answers the rest within a second and about as many as it carries, and does not
// grow: on connections that are kept, as proxies keep them, and on one for each request, as machines make them.
func TestOverloadIsShed(t *testing.T) {
	for name, fresh := range map[string]bool{"kept connections": false, "fresh connections": true} {
		t.Run(name, func(t *testing.T) {
			s := flatcar(t, server.Config{})
			slowDown(t, s)
			overload(t, s, fresh)
			stillServes(t, s, "nobody else again")
		})
	}
}

func overload(t *testing.T, s *server.Server, fresh bool) {
	d, machines := time.Duration(few(4, 20))*time.Second, few(2000, 8000) // the service has room for 8192
	carried := measure(t, s, 64, 0, fresh, d)
	rate := 5 * served(carried)
	measure(t, s, machines, rate, fresh, d/2)
	before := s.Process().Usage().ResidentMiB
	r := measure(t, s, machines, rate, fresh, d)
	t.Logf("it carries %vof %.0f/s it serves %.0f/s, and had %.0f MiB: %v", carried, rate, served(r), before, r)
	if !s.Alive() {
		t.Fatalf("the service ended; it said:\n%s", s.Log())
	}
	if now := r.Memory["server"].ResidentMiB; now > before*1.25+32 {
		t.Errorf("memory grew from %.0f MiB to %.0f MiB", before, now)
	}
	if r.Of(load.Busy).Count == 0 {
		t.Error("nothing was shed")
	}
	if served(r) < served(carried)/2 {
		t.Errorf("%.0f requests/s were served, of %.0f/s that it carries", served(r), served(carried))
	}
	if r.Errors > r.Requests/100 || r.Of(load.Refused).Count+r.Of(load.Strange).Count > 0 {
		t.Errorf("answered wrongly: %+v", r)
	}
	for _, kind := range []load.Kind{load.NoUpdate, load.Acknowledged} {
		if longest := r.Of(kind).Latency.Max; longest > time.Second {
			t.Errorf("an answer of kind %q took %v", kind, longest)
		}
	}
}
