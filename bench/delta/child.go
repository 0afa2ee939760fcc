package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// talk says on stderr what is being done.
func talk(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// command is one that speaks English, so that what it says can be read.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C")
	return c
}

// commandIn is one that works in folder.
func commandIn(ctx context.Context, folder, name string, args ...string) *exec.Cmd {
	c := command(ctx, name, args...)
	c.Dir = folder
	return c
}

// output runs a command; the error has the end of what it said.
func output(c *exec.Cmd) (string, error) {
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(c.Args[:min(2, len(c.Args))], " "), err, tail(said.String()))
	}
	return out.String(), nil
}

// tail is the end of a program's talk, where the cause usually is.
func tail(text string) string {
	const most = 500
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-most):]
}

// cost of a command, or of some after one another.
type cost struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	PeakMiB    float64 `json:"peak_mib"` // most that one process had resident
}

func (c *cost) add(other cost) {
	c.Seconds += other.Seconds
	c.CPUSeconds += other.CPUSeconds
	c.PeakMiB = max(c.PeakMiB, other.PeakMiB)
}

// costFile is where a child writes its cost: the first file that it inherits.
const costFile = 3

// measure runs a command in folder. This program stands between as "delta child": Linux counts to a process what its parent had
// resident when it started it, and this process grows with what it reads, while one that was just started is small.
func measure(ctx context.Context, folder string, args ...string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return cost{}, err
	}
	defer r.Close()
	c := commandIn(ctx, folder, self, append([]string{"child"}, args...)...)
	c.ExtraFiles = []*os.File{w}
	_, err = output(c)
	w.Close()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", args[0], err)
	}
	var told cost
	return told, json.NewDecoder(r).Decode(&told)
}

// runChild runs a command and tells what it cost.
func runChild(args []string) error {
	runtime.LockOSThread() // the kernel ends the command when the thread that started it does
	syscall.CloseOnExec(costFile)
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := c.Run(); err != nil {
		return err
	}
	used := c.ProcessState.SysUsage().(*syscall.Rusage)
	return json.NewEncoder(os.NewFile(costFile, "cost")).Encode(cost{
		Seconds: time.Since(began).Seconds(), CPUSeconds: (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(),
		PeakMiB: float64(used.Maxrss) / 1024,
	})
}
