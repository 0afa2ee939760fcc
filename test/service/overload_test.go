package service

import (
	"syscall"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// slowDown gives a server a tenth of the time, as a machine does that is ten times smaller, until the test ends. Without it
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
			case <-time.After(18 * time.Millisecond):
			}
			syscall.Kill(s.PID(), syscall.SIGCONT)
			time.Sleep(2 * time.Millisecond)
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

// At five times what it can carry the service sheds, answers the rest in time, and does not grow.
func TestOverloadIsShed(t *testing.T) {
	s := flatcar(t, server.Config{})
	slowDown(t, s)
	connections, duration := few(1000, 4000), time.Duration(few(2, 20))*time.Second
	carries := measure(t, s, 0, 256, duration/2).PerSecond
	warm := measure(t, s, 5*carries, connections, duration/2).Memory["server"].ResidentMiB
	r := measure(t, s, 5*carries, connections, duration)
	t.Logf("carries %.0f/s; at 5 times that: %.0f/s served, %.0f/s shed", carries,
		float64(served(r))/r.Elapsed.Seconds(), float64(r.Of(load.Busy).Count)/r.Elapsed.Seconds())
	t.Logf("%+v", r)
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
		if late := r.Of(kind).Latency.P99; late > time.Second {
			t.Errorf("99 %% of the answers of kind %q came within %v", kind, late)
		}
	}
	if now := r.Memory["server"].ResidentMiB; now > warm*1.25+32 {
		t.Errorf("memory grew from %.0f MiB to %.0f MiB", warm, now)
	}
	stillServes(t, s, "nobody else again")
}
