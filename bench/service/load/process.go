package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Process is a program whose cost is to be told, with all that it started.
type Process struct {
	Name string
	PID  int
}

// Usage is what a process and its descendants have used.
type Usage struct {
	CPU         time.Duration
	ResidentMiB float64 // now; memory that several of them share is counted once
	PeakMiB     float64 // the most that the process itself had resident
}

// tick is the unit of CPU times in /proc; Linux shows them in hundredths of a second whatever its own clock does.
const tick = 10 * time.Millisecond

// stat is a line of /proc/PID/stat: proc_pid_stat(5).
type stat struct {
	parent int
	cpu    time.Duration // its own, and that of its children that ended
}

func usage(watched []Process) map[string]Usage {
	if len(watched) == 0 {
		return nil
	}
	all, used := stats(), map[string]Usage{}
	for _, p := range watched {
		used[p.Name] = p.usage(all)
	}
	return used
}

// Usage is what the process has used until now.
func (p Process) Usage() Usage { return p.usage(stats()) }

func (p Process) usage(all map[int]stat) Usage {
	return Usage{tree(all, p.PID), proportional(all, p.PID), field(fmt.Sprintf("/proc/%d/status", p.PID), "VmHWM:")}
}

func stats() map[int]stat {
	all := map[int]stat{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		if pid, s, ok := parseStat(string(text)); ok {
			all[pid] = s
		}
	}
	return all
}

// parseStat reads what is after the name of the program, which may have spaces and parentheses.
func parseStat(text string) (pid int, s stat, ok bool) {
	first, _, _ := strings.Cut(text, " ")
	pid, err := strconv.Atoi(first)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if err != nil || len(fields) < 15 {
		return 0, s, false
	}
	s.parent, _ = strconv.Atoi(fields[1])
	for _, ticks := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(ticks)
		s.cpu += time.Duration(n) * tick
	}
	return pid, s, true
}

func tree(all map[int]stat, root int) time.Duration {
	sum := all[root].cpu
	for pid, s := range all {
		if s.parent == root && pid != root {
			sum += tree(all, pid)
		}
	}
	return sum
}

func proportional(all map[int]stat, root int) float64 {
	sum := field(fmt.Sprintf("/proc/%d/smaps_rollup", root), "Pss:")
	for pid, s := range all {
		if s.parent == root && pid != root {
			sum += proportional(all, pid)
		}
	}
	return sum
}

// field reads a size in kB from a file of "Name: value kB" lines, as MiB; 0 when there is none.
func field(file, name string) float64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			kib, _ := strconv.ParseFloat(words[1], 64)
			return kib / 1024
		}
	}
	return 0
}
