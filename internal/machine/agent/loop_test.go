package agent

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/update"
)

// notes is a service manager.
type notes struct {
	mu   sync.Mutex
	told []string
}

func (n *notes) tell(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, state)
}

func (n *notes) count(state string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(n.told), func(s string) bool { return s != state }))
}

func TestTheServiceManagerHearsFromTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCrashWorld(t, scenarios[0], 1)
		if err := w.Boot(); err != nil {
			t.Fatal(err)
		}
		rebooted := make(chan struct{})
		a, err := w.agent(func(context.Context) error { close(rebooted); return nil })
		if err != nil {
			t.Fatal(err)
		}
		heard := &notes{}
		a.Notify, a.Watchdog = heard.tell, 30*time.Second
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		<-rebooted
		time.Sleep(61 * time.Second)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if heard.count("READY=1") != 1 || heard.count("STOPPING=1") != 1 || heard.count("WATCHDOG=1") < 4 {
			t.Errorf("told %q", heard.told)
		}
		if heard.count("STATUS=rebooting into 1.2.0") != 1 {
			t.Errorf("told %q", heard.told)
		}
	})
}

// A reboot that is refused is asked for again, and a full disk holds everything up without killing the agent.
func TestTheLoopInsists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newCrashWorld(t, scenarios[0], 1)
		if err := w.Boot(); err != nil {
			t.Fatal(err)
		}
		times := 0
		a, err := w.agent(func(context.Context) error {
			times++
			return fault.New(fault.Unavailable, "systemd is occupied")
		})
		if err != nil {
			t.Fatal(err)
		}
		heard := &notes{}
		a.Notify = heard.tell
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		w.Power.FailAt(1, fault.New(fault.Exhausted, "no space is left"))
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		if st := a.Status(); !strings.Contains(st.WaitsFor, "save state: write .state.json.tmp: write number") || heard.count("READY=1") != 0 {
			t.Errorf("waits for %q, told %q", st.WaitsFor, heard.told)
		}
		time.Sleep(20 * time.Minute)
		st := a.Status()
		if st.State != string(update.Rebooting) || st.Problem == nil || !strings.Contains(st.Problem.Why, "systemd is occupied") {
			t.Errorf("status is %+v", st)
		}
		if times < 4 {
			t.Errorf("the reboot was asked for %d times", times)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
