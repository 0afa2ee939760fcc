package service

import (
	"syscall"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// slowDown gives a server a twentieth of the time, as a machine does that is so much smaller, until the test ends. Without it
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
			case <-time.After(57 * time.Millisecond):
			}
			syscall.Kill(s.PID(), syscall.SIGCONT)
			time.Sleep(3 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { close(done); <-ended })
}

// measure runs a load of polls and events against a server.
func measure(t *testing.T, s *server.Server, rate float64, connections int, d time.Duration) load.Result {
	t.Helper()
	result, err := load.Run(t.Context(), load.Plan{
		Target: s.Target(), Fleet: load.Flatcar("stable", server.NewVersion), Mode: load.Poll, Machines: 1000, EventShare: .05,
		Connections: connections, Rate: rate, Warmup: d / 4, Duration: d, Watch: []load.Process{s.Process()},
	})
	must(t, err)
	return result
}

// served is how many requests were answered otherwise than by 503.
func served(r load.Result) int64 { return r.Requests - r.Of(load.Busy).Count }

// overload runs five times the load that the service carries, or more, until it is too much: what it carries is an estimate, and a machine
// waits for its answer before it asks again, so that it may take more of them.
func overload(t *testing.T, s *server.Server, d time.Duration) (r load.Result, connections int) {
	t.Helper()
	rate := 5 * measure(t, s, 0, 256, d/2).PerSecond
	for connections = few(1000, 2000); ; rate, connections = 2*rate, 2*connections {
		measure(t, s, rate, connections, d/4)
		before := s.Process().Usage().ResidentMiB
		r = measure(t, s, rate, connections, d)
		t.Logf("%.0f requests/s on %d connections: %.0f/s served, %.0f/s shed, %.0f MiB before\n%v", rate, connections,
			float64(served(r))/r.Elapsed.Seconds(), float64(r.Of(load.Busy).Count)/r.Elapsed.Seconds(), before, r)
		if now := r.Memory["server"].ResidentMiB; now > before*1.25+32 {
			t.Errorf("memory grew from %.0f MiB to %.0f MiB", before, now)
		}
		if r.Of(load.Busy).Count > 0 || connections > 6000 {
			return r, connections
		}
	}
}

// inTime is a second, and on a machine that was made so slow a few times what one answer to each connection takes it, whatever it is.
func inTime(r load.Result, connections int) time.Duration {
	return time.Second + time.Duration(5*float64(connections)/r.PerSecond*float64(time.Second))
}

// At five times what it can carry the service sheds, answers the rest in time, and does not grow.
func TestOverloadIsShed(t *testing.T) {
	s := flatcar(t, server.Config{})
	slowDown(t, s)
	r, connections := overload(t, s, time.Duration(few(2, 20))*time.Second)
	if !s.Alive() {
		t.Fatalf("the service ended; it said:\n%s", s.Log())
	}
	if r.Of(load.Busy).Count == 0 || served(r) == 0 {
		t.Errorf("%d requests were shed, and %d served", r.Of(load.Busy).Count, served(r))
	}
	if r.Errors > r.Requests/100 || r.Of(load.Refused).Count+r.Of(load.Strange).Count > 0 {
		t.Errorf("answered wrongly: %+v", r)
	}
	for _, kind := range []load.Kind{load.NoUpdate, load.Acknowledged} {
		if late, bound := r.Of(kind).Latency.P99, inTime(r, connections); late > bound {
			t.Errorf("99 %% of the answers of kind %q came within %v, to be %v", kind, late, bound)
		}
	}
	stillServes(t, s, "nobody else again")
}
