package lab

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Spec is the hardware of a machine and what it is told at its first boot.
type Spec struct {
	Disk        string // raw disk image to start from; it is not written to
	DiskGiB     int    // size of the machine's own disk
	MemoryMiB   int
	Ports       []int        // guest TCP ports to reach from the host, beside SSH
	Credentials []Credential // systemd system credentials
}

// Credential is one systemd credential, handed over by the firmware (SMBIOS type 11, see systemd.system-credentials(7)).
type Credential struct {
	Name string
	Text string
}

// Machine is one virtual machine. Its disk outlives its process: Start, Kill and Start again is a power cut.
type Machine struct {
	Name     string
	lab      *Lab
	spec     Spec
	forwards map[int]int // guest port -> host port

	mu      sync.Mutex
	cmd     *exec.Cmd
	exited  chan struct{}
	usedCPU time.Duration // by processes that have ended
}

// NewMachine makes a machine's folder and disk. It does not start it.
func (l *Lab) NewMachine(ctx context.Context, name string, spec Spec) (*Machine, error) {
	m := &Machine{Name: name, lab: l, spec: spec, forwards: map[int]int{}}
	if err := os.MkdirAll(m.path(""), 0o700); err != nil {
		return nil, err
	}
	for _, guest := range append([]int{22}, spec.Ports...) {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		m.forwards[guest] = port
	}
	if err := m.writeCredentials(); err != nil {
		return nil, err
	}
	return m, m.makeDisk(ctx)
}

func (m *Machine) path(name string) string { return filepath.Join(m.lab.Folder, m.Name, name) }

func (m *Machine) writeCredentials() error {
	m.spec.Credentials = append(m.spec.Credentials, Credential{"ssh.authorized_keys.root", m.lab.Key.Authorized()})
	for i, c := range m.spec.Credentials {
		text := "io.systemd.credential.binary:" + c.Name + "=" + base64.StdEncoding.EncodeToString([]byte(c.Text))
		if err := os.WriteFile(m.path(fmt.Sprintf("credential-%d", i)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) makeDisk(ctx context.Context) error {
	base, err := filepath.Abs(m.spec.Disk)
	if err != nil {
		return err
	}
	out, err := m.lab.tool(ctx, "usr/bin/qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base,
		m.path("disk.qcow2"), strconv.Itoa(m.spec.DiskGiB)+"G").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make disk of %s: %w: %s", m.Name, err, out)
	}
	_, vars, err := m.lab.firmware()
	if err != nil {
		return err
	}
	template, err := os.ReadFile(vars)
	if err != nil {
		return err
	}
	return os.WriteFile(m.path("vars.fd"), template, 0o600)
}

// Start powers the machine on. It returns as soon as QEMU runs.
func (m *Machine) Start() error {
	code, _, err := m.lab.firmware()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(m.path("qemu.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.keepConsole()
	cmd := m.lab.qemu(context.Background(), m.arguments(code)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.Name, err)
	}
	exited := make(chan struct{})
	m.mu.Lock()
	m.cmd, m.exited = cmd, exited
	m.mu.Unlock()
	go m.reap(cmd, exited)
	return nil
}

// keepConsole moves the console of the run before aside, since QEMU begins the file anew.
func (m *Machine) keepConsole() {
	old, err := os.ReadFile(m.path("console.log"))
	if err != nil || len(old) == 0 {
		return
	}
	f, err := os.OpenFile(m.path("console-before.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	f.Write(old)
}

func (m *Machine) reap(cmd *exec.Cmd, exited chan struct{}) {
	cmd.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := cmd.ProcessState; state != nil {
		m.usedCPU += state.UserTime() + state.SystemTime()
	}
	m.cmd = nil
	close(exited)
}

// Running reports whether the machine's QEMU process is alive.
func (m *Machine) Running() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cmd != nil
}

// Kill cuts the power: SIGKILL to QEMU. It returns when the process is gone, and is harmless on a machine
// that is off.
func (m *Machine) Kill() error {
	m.mu.Lock()
	cmd, exited := m.cmd, m.exited
	m.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", m.Name, err)
	}
	<-exited
	return nil
}

// PID is the process to end when the machine is left running, or 0.
func (m *Machine) PID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return 0
	}
	return m.cmd.Process.Pid
}

// Port is the host's loopback port for a guest's TCP port.
func (m *Machine) Port(guest int) int { return m.forwards[guest] }

// Console is all that the machine wrote to its serial line since it was started.
func (m *Machine) Console() string {
	text, err := os.ReadFile(m.path("console.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Folder holds the machine's disk, console and sockets.
func (m *Machine) Folder() string { return m.path("") }

// CPUTime is what the machine has cost the host so far, all its processes together.
func (m *Machine) CPUTime() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return m.usedCPU
	}
	return m.usedCPU + processCPU(m.cmd.Process.Pid)
}

// processCPU reads user and system time of a process from proc(5), field 14 and 15 of stat.
func processCPU(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, after, ok := strings.Cut(string(text), ") ")
	fields := strings.Fields(after)
	if !ok || len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	const ticksPerSecond = 100 // USER_HZ is 100 on every Linux port that we run on
	return time.Duration(user+system) * time.Second / ticksPerSecond
}
