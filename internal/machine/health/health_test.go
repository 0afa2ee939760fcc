package health

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
)

func TestComplaints(t *testing.T) {
	unit := func(name, active, sub string) Unit { return Unit{Name: name, Active: active, Sub: sub} }
	for _, c := range []struct {
		name  string
		facts Facts
		want  string
	}{
		{"all well", Facts{System: "running", Units: []Unit{unit("a.service", "active", "running")}}, ""},
		{"degraded as before", Facts{System: "degraded", Units: []Unit{unit("old.service", "failed", "failed")}}, ""},
		{"a new failure", Facts{System: "degraded", Units: []Unit{unit("new.mount", "failed", "failed")}}, "unit new.mount has failed"},
		{"still starting", Facts{System: "starting"}, "the system is starting"},
		{"in rescue mode", Facts{System: "maintenance"}, "the system is maintenance"},
		{"the unit that holds it up", Facts{System: "starting", Units: []Unit{unit("app.service", "activating", "start")}}, "app.service is activating"},
		{"a restart loop", Facts{System: "running", Units: []Unit{unit("app.service", "activating", "auto-restart")}}, "auto-restart"},
		{"a mounted device without udev", Facts{System: "running", Units: []Unit{unit("dev-mapper-root.device", "activating", "tentative")}}, ""},
		{"a timer's job", Facts{System: "running", Units: []Unit{{Name: "fstrim.service", Active: "activating", Sub: "start", Oneshot: true}}}, ""},
		{"a job that is restarted", Facts{System: "running", Units: []Unit{{Name: "x.service", Active: "activating", Sub: "start", Oneshot: true, Restarts: 1}}}, "x.service"},
		{"no service", Facts{System: "running", Unreachable: "no route"}, "cannot be reached: no route"},
		{"a program", Facts{System: "running", Program: "disk is on fire"}, "disk is on fire"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.facts.complaint([]string{"old.service"})
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCourse(t *testing.T) {
	well := Facts{System: "running"}
	bad := Facts{System: "starting"}
	c := &Course{Deadline: 100 * time.Second, Settle: 10 * time.Second}
	for _, step := range []struct {
		at    time.Duration
		facts Facts
		want  Verdict
	}{
		{0, bad, Pending}, {20 * time.Second, well, Pending}, {29 * time.Second, well, Pending},
		{29500 * time.Millisecond, bad, Pending}, {30 * time.Second, well, Pending}, {39 * time.Second, well, Pending},
		{40 * time.Second, well, Healthy},
	} {
		if got, why := c.Next(step.at, step.facts); got != step.want {
			t.Errorf("at %s: got %v (%s), want %v", step.at, got, why, step.want)
		}
	}
}

// A verdict may come after the deadline when everything became well before it.
func TestDeadline(t *testing.T) {
	c := &Course{Deadline: 100 * time.Second, Settle: 10 * time.Second}
	c.Next(95*time.Second, Facts{System: "running"})
	if got, _ := c.Next(101*time.Second, Facts{System: "running"}); got != Pending {
		t.Errorf("well since 95 s, at 101 s: %v", got)
	}
	got, why := c.Next(102*time.Second, Facts{System: "starting"})
	if got != Failing || !strings.Contains(why, "the system is starting, 1m40s after the start") {
		t.Errorf("at 102 s: %v, %q", got, why)
	}
}

func TestAServiceThatCrashesOverAndOverIsNotWell(t *testing.T) {
	c := &Course{Deadline: 100 * time.Second, Settle: 10 * time.Second}
	verdict := Pending
	why := ""
	for i := range 11 {
		f := Facts{System: "running", Units: []Unit{{Name: "app.service", Active: "active", Sub: "running", Restarts: i}}}
		verdict, why = c.Next(time.Duration(i)*10*time.Second, f)
		if verdict == Healthy {
			t.Fatalf("healthy after %d restarts", i)
		}
	}
	if verdict != Failing || !strings.Contains(why, "restarted 10 times") {
		t.Errorf("%v, %q", verdict, why)
	}
}

// machine is a system manager whose state is a function of the time since it was made.
type machine struct {
	start time.Time
	state func(elapsed time.Duration) (string, []Unit, error)
}

func (m *machine) State(context.Context) (string, error) {
	s, _, err := m.state(time.Since(m.start))
	return s, err
}

func (m *machine) Units(context.Context) ([]Unit, error) {
	_, u, err := m.state(time.Since(m.start))
	return u, err
}

func judge(state func(time.Duration) (string, []Unit, error)) *Judge {
	return &Judge{
		Manager: &machine{time.Now(), state}, Reach: func(context.Context) error { return nil },
		Folder: "/nonexistent", ProgramTimeout: time.Second, Deadline: 5 * time.Minute, Settle: 20 * time.Second, Pause: 2 * time.Second,
	}
}

func TestWatchWaitsForAnApplicationThatStartsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		j := judge(func(at time.Duration) (string, []Unit, error) {
			switch {
			case at < 10*time.Second:
				return "", nil, errors.New("no such socket")
			case at < time.Minute:
				return "starting", []Unit{{Name: "app.service", Active: "activating", Sub: "start-pre"}}, nil
			}
			return "running", []Unit{{Name: "app.service", Active: "active", Sub: "running"}}, nil
		})
		var told []string
		v, why, err := j.Watch(t.Context(), nil, func(why string) { told = append(told, why) })
		if v != Healthy || err != nil {
			t.Fatalf("%v, %q, %v", v, why, err)
		}
		if took := time.Since(start); took < 80*time.Second || took > 84*time.Second {
			t.Errorf("it took %s", took)
		}
		want := []string{
			"the system is not answering: no such socket", "unit app.service is activating (start-pre)", "everything to stay well for 20s",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
	})
}

func TestWatchGivesUpAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := judge(func(time.Duration) (string, []Unit, error) { return "running", nil, nil })
		j.Reach = func(context.Context) error { return errors.New("no route to host") }
		v, why, err := j.Watch(t.Context(), nil, func(string) {})
		if v != Failing || err != nil || !strings.Contains(why, "no route to host, 5m0s") {
			t.Fatalf("%v, %q, %v", v, why, err)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		j := judge(func(time.Duration) (string, []Unit, error) { return "starting", nil, nil })
		if v, _, err := j.Watch(ctx, nil, func(string) {}); v != Pending || !fault.Is(err, fault.Canceled) {
			t.Fatalf("%v, %v", v, err)
		}
	})
}

func TestBaselineIsWhatHasFailed(t *testing.T) {
	j := judge(func(time.Duration) (string, []Unit, error) {
		return "degraded", []Unit{{Name: "b", Active: "failed"}, {Name: "c", Active: "active"}, {Name: "a", Active: "failed"}}, nil
	})
	if got, err := j.Baseline(t.Context()); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestPrograms(t *testing.T) {
	folder := t.TempDir()
	program := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+text), mode); err != nil {
			t.Fatal(err)
		}
	}
	program("10-good", "exit 0", 0o755)
	program("20-readme", "exit 1", 0o644)
	program(".hidden", "exit 1", 0o755)
	if err := runPrograms(t.Context(), folder, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	program("40-late", "exit 1", 0o755)
	program("30-bad", "echo the database >&2; echo has no tables; exit 3", 0o755)
	err := runPrograms(t.Context(), folder, 10*time.Second)
	if err == nil || !strings.Contains(err.Error(), "30-bad: exit status 3: the database\nhas no tables") {
		t.Errorf("got %v", err)
	}
	program("05-slow", "sleep 60 & sleep 60", 0o755)
	start := time.Now()
	err = runPrograms(t.Context(), folder, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "05-slow: took longer than 50ms") || time.Since(start) > 30*time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
	if err := runPrograms(t.Context(), filepath.Join(folder, "none"), time.Second); err != nil {
		t.Errorf("no folder: %v", err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	out := &tail{}
	for range 100 {
		if n, err := out.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, err := out.Write([]byte(strings.Repeat("x", 300) + "end")); n != 303 || err != nil {
		t.Fatal(n, err)
	}
	if out.Len() != outputBytes || !strings.HasSuffix(out.String(), "xend") {
		t.Errorf("%d bytes: %s", out.Len(), out.String())
	}
}
