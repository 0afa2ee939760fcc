package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/update"
)

// machine is a simulated machine with a whole agent that speaks HTTP with its peers.
type machine struct {
	*bootsim.Machine
	t      *testing.T
	peers  *peers
	root   []byte
	tuf    folder.Folder
	config Config
	socket string
	failed []string // units, once the new release runs

	rebooted chan struct{}
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m, err := bootsim.NewMachine(1, releases.Of("1.0.0"), releases.Of("1.1.0"), rootBlocks, espBytes)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeers(t)
	c := DefaultConfig()
	c.Server, c.LockURL, c.Group = p.server.URL, p.server.URL, "demo"
	c.PollJitter = 0
	c.Health.Deadline, c.Health.Settle, c.Health.Folder = time.Millisecond, 0, t.TempDir()
	return &machine{
		Machine: m, t: t, peers: p, root: p.publish(1, releases.Of("1.2.0")), tuf: faultdisk.NewJournaled(m.Power, 1<<20),
		config: c, socket: filepath.Join(t.TempDir(), "agent.sock"),
	}
}

// State, Units and Reboot are the system manager.
func (m *machine) State(context.Context) (string, error) { return "running", nil }

func (m *machine) Units(context.Context) ([]health.Unit, error) {
	var units []health.Unit
	if m.Version == "1.2.0" {
		for _, name := range m.failed {
			units = append(units, health.Unit{Name: name, Active: "failed", Sub: "failed"})
		}
	}
	return units, nil
}

func (m *machine) Reboot(context.Context) error {
	close(m.rebooted)
	return nil
}

// power boots the machine and runs its agent until do returns.
func (m *machine) power(do func(a *Agent)) {
	m.t.Helper()
	if err := m.Boot(); err != nil {
		m.t.Fatal(err)
	}
	m.live(do)
}

// live runs an agent on the machine as it has booted.
func (m *machine) live(do func(a *Agent)) {
	m.t.Helper()
	s, err := m.Slots()
	if err != nil {
		m.t.Fatal(err)
	}
	disk, err := NewDisk(s, m.Var)
	if err != nil {
		m.t.Fatal(err)
	}
	id := Identity{MachineID: "00112233445566778899aabbccddeeff", BootID: fmt.Sprint("boot-", m.BootID), Arch: "amd64"}
	id.Running = update.Release{Version: m.Version, RootHash: releases.Of(m.Version).Release.Root.Hash}
	m.rebooted = make(chan struct{})
	client := newClient()
	defer client.CloseIdleConnections()
	repo := &tufRepository{client: client, cache: m.tuf, root: m.root, app: "conifer-os", arch: "amd64"}
	a := NewAgent(m.config, id, client, disk, NewStore(m.Var), repo, m.Loader(), m, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, stop := context.WithCancel(m.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.RunAndServe(ctx, m.socket, "") }()
	do(a)
	stop()
	if err := <-ended; err != nil {
		m.t.Errorf("agent ended with %v", err)
	}
}

// until waits for a status that is as wished.
func (m *machine) until(what string, is func(Status) bool) Status {
	m.t.Helper()
	client := NewClient(m.socket)
	var st Status
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		if st, err = client.Status(m.t.Context()); err == nil && is(st) {
			return st
		}
	}
	var text strings.Builder
	st.Print(&text)
	m.t.Fatalf("the machine never came to: %s; it is\n%s", what, text.String())
	return st
}

func (m *machine) untilRebooted() {
	m.t.Helper()
	select {
	case <-m.rebooted:
	case <-time.After(30 * time.Second):
		m.t.Fatal("the machine never rebooted")
	}
}

func quiet(st Status) bool {
	return st.State == "idle" && st.RebootLock == update.LockNone && st.ReportsWaiting == 0 && st.LastCheck != nil
}

func TestAMachineUpdates(t *testing.T) {
	m := newMachine(t)
	m.power(func(*Agent) {
		st := m.until("quiet", quiet)
		if st.Running.Version != "1.1.0" || st.NewestCommitted != "1.1.0" || st.MachineID == "" || st.Group != "demo" {
			t.Errorf("status is %+v", st)
		}
		m.peers.set(func() { m.peers.offer, m.peers.denied = "1.2.0", true })
		if err := NewClient(m.socket).Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		st = m.until("waiting for the lock", func(st Status) bool { return strings.Contains(st.WaitsFor, "the semaphore is full") })
		if st.State != "installed" || st.Target.Version != "1.2.0" {
			t.Errorf("status is %+v", st)
		}
		var words strings.Builder
		st.Print(&words)
		for _, want := range []string{"1.2.0 is installed and waits for its reboot", "on trial: 3 tries left, 0 done", "1.1.0, running, committed"} {
			if !strings.Contains(words.String(), want) {
				t.Errorf("status lacks %q:\n%s", want, words.String())
			}
		}
	})
	m.peers.set(func() { m.peers.denied = false })
	// The agent is started anew. It asks the service once more, then for the lock, and reboots.
	m.live(func(*Agent) {
		m.untilRebooted()
		if holder := m.peers.lockHolder(); holder != "00112233445566778899aabbccddeeff" {
			t.Errorf("the lock is held by %q", holder)
		}
	})
	m.power(func(*Agent) {
		st := m.until("committed", func(st Status) bool { return quiet(st) && st.NewestCommitted == "1.2.0" })
		if st.Running.Version != "1.2.0" || m.peers.lockHolder() != "" || st.Problem != nil {
			t.Errorf("lock holder %q, status %+v", m.peers.lockHolder(), st)
		}
	})
	want := []string{"1.1.0: 13/1 next 1.2.0", "1.1.0: 14/1 next 1.2.0", "1.1.0: 3/1 next 1.2.0", "1.2.0: 3/2 previous 1.1.0"}
	if got := m.peers.heard(); !slices.Equal(got, want) {
		t.Errorf("the service heard %q, want %q", got, want)
	}
}

func TestAnUnhealthyReleaseIsLeftAndNotTriedAgain(t *testing.T) {
	m := newMachine(t)
	m.config.LockURL = ""
	m.failed = []string{"app.service"}
	m.peers.offer = "1.2.0"
	m.power(func(*Agent) { m.untilRebooted() })
	if m.Version != "1.1.0" {
		t.Fatalf("%s runs", m.Version)
	}
	m.power(func(*Agent) { m.untilRebooted() })
	m.power(func(*Agent) {
		st := m.until("declined", func(st Status) bool { return quiet(st) && st.Declined == "1.2.0" })
		if st.Running.Version != "1.1.0" || !strings.Contains(st.Failed["1.2.0"].Why, "unit app.service has failed") {
			t.Errorf("status is %+v", st)
		}
		client := NewClient(m.socket)
		if err := client.Retry(t.Context(), "9.9.9"); !fault.Is(err, fault.NotFound) {
			t.Errorf("retry of a release that did not fail: %v", err)
		}
		m.failed = nil
		if err := client.Retry(t.Context(), "1.2.0"); err != nil {
			t.Fatal(err)
		}
		m.untilRebooted()
	})
	m.power(func(*Agent) {
		m.until("committed", func(st Status) bool { return quiet(st) && st.NewestCommitted == "1.2.0" })
	})
	if heard := m.peers.heard(); !slices.Contains(heard, "1.1.0: 3/0 code 44 next 1.2.0") || heard[len(heard)-1] != "1.2.0: 3/2 previous 1.1.0" {
		t.Errorf("the service heard %q", heard)
	}
}

// A signature allows that a machine goes back from 1.1.0 to 1.0.0; then it follows its channel to 1.1.0 again.
func TestASignedDowngradeAndBack(t *testing.T) {
	m := newMachine(t)
	m.peers.backTo = map[string]string{"1.0.0": "1.1.0"}
	m.root = m.peers.publish(2, releases.Of("1.0.0"), releases.Of("1.1.0"))
	for _, to := range []struct{ version, from, entries string }{
		{"1.0.0", "1.1.0", "conifer_1.0.0.efi"}, {"1.1.0", "1.0.0", "conifer_1.0.0.efi conifer_1.1.0.efi"},
	} {
		m.peers.set(func() { m.peers.offer = to.version })
		m.power(func(*Agent) {
			m.untilRebooted()
			if m.Version != to.from {
				t.Errorf("%s was left for %s", m.Version, to.version)
			}
		})
		m.power(func(*Agent) {
			st := m.until("committed", func(st Status) bool { return quiet(st) && st.Running.Version == to.version })
			if st.NewestCommitted != "1.1.0" || st.Problem != nil || m.peers.lockHolder() != "" {
				t.Errorf("lock holder %q, status %+v", m.peers.lockHolder(), st)
			}
		})
		if got := m.entries(); got != to.entries {
			t.Errorf("after the way to %s there are %q, want %q", to.version, got, to.entries)
		}
		if heard := m.peers.heard(); heard[len(heard)-1] != to.version+": 3/2 previous "+to.from {
			t.Errorf("the service heard %q", heard)
		}
	}
}

// entries are the names of the boot entries.
func (m *machine) entries() string {
	infos, err := m.ESP.List()
	if err != nil {
		m.t.Fatal(err)
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return strings.Join(names, " ")
}

// A boot loader that cannot be told to start an older release would go on with the newer one.
func TestADowngradeWithoutVariablesIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	m := newMachine(t)
	m.Variables = nil
	m.peers.backTo = map[string]string{"1.0.5": "1.1.0"}
	m.root = m.peers.publish(2, releases.Of("1.0.5"))
	m.peers.offer = "1.0.5"
	m.power(func(*Agent) {
		st := m.until("refused", func(st Status) bool { return quiet(st) && st.Problem != nil })
		want := "release 1.0.5 is older than 1.1.0, which the boot loader would go on booting: there are no EFI variables"
		if st.Problem.Kind != "unsupported" || st.Problem.Why != want || len(st.Failed) > 0 {
			t.Errorf("problem is %+v, failed %v", st.Problem, st.Failed)
		}
	})
	if heard := m.peers.heard(); !slices.Equal(heard, []string{"1.1.0: 3/0 code 21 next 1.0.5"}) {
		t.Errorf("the service heard %q", heard)
	}
	if got := m.entries(); got != "conifer_1.0.0.efi conifer_1.1.0.efi" || m.peers.gets["full.payload"] > 0 {
		t.Errorf("boot entries are %q, %d downloads", got, m.peers.gets["full.payload"])
	}
}

// What the check before did not see, the firmware may still refuse: then the entry of the older release goes.
func TestADowngradeThatCannotBeToldIsGivenUp(t *testing.T) {
	m := newMachine(t)
	m.config.LockURL = ""
	m.peers.backTo = map[string]string{"1.0.5": "1.1.0"}
	m.root = m.peers.publish(2, releases.Of("1.0.5"))
	m.peers.offer = "1.0.5"
	m.Variables.Put("ballast", make([]byte, 1<<10))
	m.power(func(*Agent) {
		st := m.until("given up", func(st Status) bool { return quiet(st) && st.Problem != nil })
		if st.Problem.Kind != "exhausted" || len(st.Failed) > 0 {
			t.Errorf("problem is %+v, failed %v", st.Problem, st.Failed)
		}
	})
	if got := m.entries(); got != "conifer_1.1.0.efi" {
		t.Errorf("boot entries are %q", got)
	}
}

func TestADownloadThatIsCutGoesOn(t *testing.T) {
	m := newMachine(t)
	m.config.LockURL = ""
	m.peers.offer = "1.2.0"
	m.peers.cutAt = int64(len(releases.Of("1.2.0").Payload)) * 2 / 3
	m.power(func(a *Agent) {
		m.untilRebooted()
		size := int64(len(releases.Of("1.2.0").Payload))
		if got := a.meter.everything.Load(); got > size {
			t.Errorf("downloaded %d bytes of a payload of %d", got, size)
		}
	})
	m.peers.set(func() {
		if n := m.peers.gets["full.payload"]; n < 2 {
			t.Errorf("the payload was asked for %d times", n)
		}
	})
}

// tamper changes what the repository serves, and says what must come of it.
var tampers = []struct {
	name   string
	change func(p *peers)
	kind   string
	report string
}{
	{"another payload of the same size", func(p *peers) {
		b := p.files["conifer-os/amd64/1.2.0/full.payload"]
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
		p.files["conifer-os/amd64/1.2.0/full.payload"] = b
	}, "corrupt", "1.1.0: 3/0 code 10 next 1.2.0"},
	{"a payload that ends early", func(p *peers) {
		b := p.files["conifer-os/amd64/1.2.0/full.payload"]
		p.files["conifer-os/amd64/1.2.0/full.payload"] = b[:len(b)-1]
	}, "corrupt", "1.1.0: 3/0 code 10 next 1.2.0"},
	{"another release.json", func(p *peers) {
		b := slices.Clone(p.files["conifer-os/amd64/1.2.0/release.json"])
		b[len(b)-3] ^= 1
		p.files["conifer-os/amd64/1.2.0/release.json"] = b
	}, "corrupt", "1.1.0: 3/0 code 10 next 1.2.0"},
	{"unsigned metadata", func(p *peers) {
		p.files["metadata/timestamp.json"] = []byte(strings.Replace(string(p.files["metadata/timestamp.json"]), `"sig":"`, `"sig":"00`, 1))
	}, "untrusted", "1.1.0: 3/0 code 12 next 1.2.0"},
	{"a release that was never signed", func(p *peers) { p.offer = "1.3.0" }, "not found", "1.1.0: 3/0 code 2 next 1.3.0"},
}

func TestALyingServerIsFoundOut(t *testing.T) {
	for _, c := range tampers {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			m.config.LockURL = ""
			m.peers.offer = "1.2.0"
			m.peers.set(func() { c.change(m.peers) })
			m.power(func(*Agent) {
				st := m.until("refused", func(st Status) bool { return quiet(st) && st.Problem != nil })
				if st.Problem.Kind != c.kind || len(st.Failed) > 0 {
					t.Errorf("problem is %+v, failed %v", st.Problem, st.Failed)
				}
			})
			if heard := m.peers.heard(); !slices.Contains(heard, c.report) {
				t.Errorf("the service heard %q, want %q", heard, c.report)
			}
			if err := m.Boot(); err != nil || m.Version != "1.1.0" {
				t.Errorf("boots %s, %v", m.Version, err)
			}
		})
	}
}

// A repository that goes back to what it served before is noticed across restarts, because the cache is kept.
func TestAReplayedRepositoryIsRefused(t *testing.T) {
	m := newMachine(t)
	m.config.LockURL = ""
	old := map[string][]byte{}
	for name, b := range m.peers.files {
		old[name] = b
	}
	m.peers.publish(2, releases.Of("1.2.0"))
	m.peers.offer = "1.3.0" // not signed: only the metadata is fetched
	m.power(func(*Agent) { m.until("refused", func(st Status) bool { return quiet(st) && st.Problem != nil }) })
	m.peers.set(func() { m.peers.files, m.peers.offer = old, "1.2.0" })
	m.power(func(*Agent) {
		st := m.until("refused", func(st Status) bool { return quiet(st) && st.Problem.Version == "1.2.0" })
		if st.Problem.Kind != "untrusted" || !strings.Contains(st.Problem.Why, "version 2 was seen before") {
			t.Errorf("problem is %+v", st.Problem)
		}
	})
}

func TestAServiceThatIsDownIsAskedAgain(t *testing.T) {
	m := newMachine(t)
	m.config.LockURL = ""
	m.peers.server.Close()
	m.power(func(*Agent) {
		st := m.until("a problem", func(st Status) bool { return st.Problem != nil })
		if st.Problem.Kind != "unavailable" || st.State != "idle" || st.NextCheckSeconds > 30 || st.ReportsWaiting != 0 {
			t.Errorf("status is %+v", st)
		}
	})
}
