// Package page is what the reports of the benches share: Conditions, which say where and when something was measured, and Number.
// It knows nothing of what is measured.
package page

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Conditions say where it was measured, and what the computer did before.
func Conditions() []string {
	cpu := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, after, ok := strings.Cut(string(text), "model name"); ok {
			line, _, _ := strings.Cut(after, "\n")
			cpu = strings.TrimLeft(line, "\t :")
		}
	}
	commit := "unknown commit"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	busy, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(busy), " ")
	return []string{
		fmt.Sprintf("%s, commit %s, %s", time.Now().UTC().Format("2006-01-02 15:04 MST"), commit, runtime.Version()),
		fmt.Sprintf("%d CPUs (%s), Linux %s, %s GiB of memory; load average before: %s", runtime.NumCPU(), cpu, kernel(), memory(), load),
	}
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}

func memory() string {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return "?"
	}
	return fmt.Sprint(int(float64(i.Totalram)*float64(i.Unit)/(1<<30) + .5))
}

// Number with commas between its thousands.
func Number[N int | int64](n N) string {
	digits := fmt.Sprint(n)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}
