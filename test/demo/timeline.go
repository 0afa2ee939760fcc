package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// timeline prints what happens, each line with the time since the start and who it is about.
type timeline struct {
	out   io.Writer
	start time.Time
	mu    sync.Mutex
}

func newTimeline(out io.Writer) *timeline { return &timeline{out: out, start: time.Now()} }

// at formats the time since the start as minutes and seconds.
func (t *timeline) at() string {
	d := time.Since(t.start)
	return fmt.Sprintf("%02d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

func (t *timeline) say(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%s  %-10s %s\n", t.at(), who, fmt.Sprintf(format, args...))
}

func (t *timeline) chapter(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n%s  %s\n", t.at(), fmt.Sprintf(format, args...))
}

// Write lets commands and build steps speak into the timeline, line by line.
func (t *timeline) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" {
			t.say("operator", "%s", line)
		}
	}
	return len(b), nil
}
