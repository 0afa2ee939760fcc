package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/test/lab"
)

// Machine is a virtual machine that belongs to a group of the fleet.
type Machine struct {
	*lab.Machine
	Group string
	Agent *lab.Probe // does the machine answer?
	Web   *lab.Probe // does its application answer?
}

// MachineSpec is what differs between machines.
type MachineSpec struct {
	Name   string
	Group  string
	Image  string // folder of the release whose disk it starts from
	Timing Timing
}

// NewMachine makes a machine and starts it from the disk of a release.
func (f *Fleet) NewMachine(ctx context.Context, s MachineSpec) (*Machine, error) {
	disks, err := filepath.Glob(filepath.Join(s.Image, "*.disk.raw"))
	if err != nil || len(disks) != 1 {
		return nil, fmt.Errorf("find the disk image in %s: %d files match", s.Image, len(disks))
	}
	if s.Timing == (Timing{}) {
		s.Timing = QuickTiming
	}
	vm, err := f.Lab.NewMachine(ctx, s.Name, lab.Spec{
		Disk: disks[0], DiskGiB: 4, MemoryMiB: 1024,
		Ports: []int{AgentPort, lab.WebPort}, Credentials: f.credentials(s.Name, s.Group, s.Timing),
	})
	if err != nil {
		return nil, err
	}
	m := &Machine{Machine: vm, Group: s.Group}
	f.Machines = append(f.Machines, m)
	if err := m.Start(); err != nil {
		return nil, err
	}
	m.Agent, m.Web = vm.Watch(AgentPort, "/healthz"), vm.Watch(lab.WebPort, "/")
	return m, nil
}

// Status is the part of `conifer-agent status --json` that the demo and the tests look at.
type Status struct {
	Phase    string `json:"state"`
	Summary  string `json:"summary"`
	WaitsFor string `json:"waits_for"`
	Running  struct {
		Version  string `json:"version"`
		RootHash string `json:"root_hash"`
	} `json:"running"`
	Newest   string `json:"newest_committed"`
	Progress *struct {
		DoneBytes  int64 `json:"done_bytes"`
		TotalBytes int64 `json:"total_bytes"`
	} `json:"progress"`
	Slots []struct {
		Slot    string `json:"slot"`
		Running bool   `json:"running"`
	} `json:"slots"`
	MachineID string `json:"machine_id"`
}

// Slot is the slot that the machine runs from, A or B.
func (s Status) Slot() string {
	for _, slot := range s.Slots {
		if slot.Running {
			return slot.Slot
		}
	}
	return "?"
}

// Done is how much of an installation is written, 0 to 1.
func (s Status) Done() float64 {
	if s.Progress == nil || s.Progress.TotalBytes == 0 {
		return 0
	}
	return float64(s.Progress.DoneBytes) / float64(s.Progress.TotalBytes)
}

// Peek asks the agent over its metrics port, without logging in: cheap enough to ask every second.
func (m *Machine) Peek(ctx context.Context) (Status, error) {
	ctx, stop := context.WithTimeout(ctx, 4*time.Second)
	defer stop()
	var s Status
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/status", m.Port(AgentPort)), nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return s, err
	}
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("agent of %s answers %s: %s", m.Name, answer.Status, text)
	}
	return s, json.Unmarshal(text, &s)
}

// Facts is what a machine says of itself when it is asked as root.
type Facts struct {
	Status
	OSVersion  string // IMAGE_VERSION of the root that is mounted
	KernelHash string // roothash= of the kernel's command line
	BootID     string
	Entries    string // boot entries on the ESP
	Downloaded int64  // bytes of payloads, in all its boots
}

// Inspect logs into the machine and asks it.
func (m *Machine) Inspect(ctx context.Context) (Facts, error) {
	var facts Facts
	out, err := m.Run(ctx, `. /usr/lib/os-release; echo "$IMAGE_VERSION"
sed -n 's/.*roothash=\([0-9a-f]*\).*/\1/p' /proc/cmdline
cat /proc/sys/kernel/random/boot_id
ls /efi/EFI/Linux | tr '\n' ' '; echo
journalctl --quiet --output=cat --unit=conifer-agent | sed -n 's/.*downloaded_bytes=\([0-9]*\).*/\1/p' | tr '\n' ' '; echo
conifer-agent status --json`)
	if err != nil {
		return facts, err
	}
	lines := strings.SplitN(out, "\n", 6)
	if len(lines) < 6 {
		return facts, fmt.Errorf("%s answers %q", m.Name, out)
	}
	for _, field := range strings.Fields(lines[4]) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return facts, fmt.Errorf("%s downloaded %q: %w", m.Name, field, err)
		}
		facts.Downloaded += n
	}
	facts.OSVersion, facts.KernelHash, facts.BootID, facts.Entries = lines[0], lines[1], lines[2], strings.TrimSpace(lines[3])
	return facts, json.Unmarshal([]byte(lines[5]), &facts.Status)
}

// Runs waits until the machine runs a version, has nothing under way, and its application answers.
func (m *Machine) Runs(ctx context.Context, version string, limit time.Duration) error {
	return lab.Await(ctx, m.Name+" to run "+version, limit, func(ctx context.Context) (bool, string) {
		s, err := m.Peek(ctx)
		if err != nil {
			return false, ""
		}
		web := "its application answers"
		if !m.Web.Answers() {
			web = "its application is silent"
		}
		return s.Running.Version == version && s.Phase == "idle" && m.Web.Answers(),
			fmt.Sprintf("it runs %s, %s (%s), %s", s.Running.Version, s.Phase, s.Summary, web)
	})
}
