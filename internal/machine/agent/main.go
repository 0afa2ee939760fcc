package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"conifer.dev/conifer/internal/machine/dm"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/health"
	"conifer.dev/conifer/internal/machine/loader"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/memory"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Names are what the machine is called, for its status.
type Names struct{ MachineID, Server, Group string }

// Main runs the agent of this machine until ctx ends.
func Main(ctx context.Context, c Config, log *slog.Logger) error {
	debug.SetMemoryLimit(memory.LimitBytes)
	id, err := ReadIdentity("/")
	if err != nil {
		return err
	}
	if err := checkEnforced(id.Running.RootHash, dm.Table); err != nil {
		return err
	}
	a, err := assemble(c, id, log)
	if err != nil {
		return err
	}
	a.Spare = memory.Spare
	return a.RunAndServe(ctx, SocketPath, c.Listen)
}

// assemble builds the agent from the machine's own parts.
func assemble(c Config, id Identity, log *slog.Logger) (*Agent, error) {
	state, err := openFolder(c.StateFolder)
	if err != nil {
		return nil, err
	}
	s, err := slots.System{}.OpenSystem(c.ESP, id.Running.RootHash)
	if err != nil {
		return nil, err
	}
	disk, err := NewDisk(s, state)
	if err != nil {
		return nil, err
	}
	client := newClient()
	repository, err := openRepository(c, id, client)
	if err != nil {
		return nil, err
	}
	return NewAgent(c, id, client, disk, NewStore(state), repository, loader.Loader{}, health.Systemd{}, log), nil
}

// openRepository reads the root of trust. The time at which the system was built is the earliest that a clock can
// rightly show.
func openRepository(c Config, id Identity, client *http.Client) (*tufRepository, error) {
	root, err := os.ReadFile(c.RootOfTrust)
	if err != nil {
		return nil, folder.Classify("read the root of trust", err)
	}
	info, err := os.Stat(c.RootOfTrust)
	if err != nil {
		return nil, folder.Classify("read the root of trust", err)
	}
	cache, err := openFolder(filepath.Join(c.StateFolder, "tuf"))
	if err != nil {
		return nil, err
	}
	return &tufRepository{client: client, cache: cache, root: root, notBefore: info.ModTime(), app: c.App, arch: id.Arch}, nil
}

func openFolder(path string) (folder.Folder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, folder.Classify("make folder", err)
	}
	return folder.OpenDir(path)
}

// System is the system manager: what judges need of it, and reboots.
type System interface {
	health.Manager
	Reboot(ctx context.Context) error
}

// NewAgent puts an agent together that speaks with its peers over client.
func NewAgent(c Config, id Identity, client *http.Client, disk *Disk, store *Store, repository Repository, boot Loader, system System, log *slog.Logger) *Agent {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog is off", "error", err)
	}
	a := &Agent{
		Policy: update.Policy{PollInterval: c.PollInterval, PollJitter: c.PollJitter, Lock: c.LockURL != ""},
		BootID: id.BootID, Running: id.Running, Names: Names{id.MachineID, c.Server, c.Group},
		Store: store, Disk: disk, Service: newOmahaService(client, c, id), Repository: repository,
		Lock:   &fleetLock{client, c.LockURL, fleetlock.Params{ID: id.MachineID, Group: c.LockGroup}},
		Loader: boot, Health: newJudge(c, client, system), Reboot: system.Reboot, Random: rand.Float64, Log: log, Watchdog: watchdog,
	}
	a.limit.bytesPerSecond = c.MaxDownloadBytesPerSecond
	a.Notify = func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("the service manager was not told", "state", state, "error", err)
		}
	}
	return a
}

func newJudge(c Config, client *http.Client, system health.Manager) *health.Judge {
	return &health.Judge{
		Manager: system, Reach: func(ctx context.Context) error { return reach(ctx, client, c.Server) },
		Folder: c.Health.Folder, ProgramTimeout: c.Health.ProgramTimeout, Deadline: c.Health.Deadline, Settle: c.Health.Settle, Pause: 2 * time.Second,
	}
}

// reach tells whether the network leads to the update service. Any answer will do, even a refusal: a service that is
// down must not make a fleet roll back, but a release without a network could never be mended.
func reach(ctx context.Context, client *http.Client, server string) error {
	if server == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, _, err := exchange(ctx, client, http.MethodGet, server, nil, nil, 0)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// RunAndServe runs the loop and answers on the socket, and on the network when listen is set. That it cannot answer
// there does not keep it from its work.
func (a *Agent) RunAndServe(ctx context.Context, socket, listen string) error {
	ctx, cancel := context.WithCancel(ctx)
	var doors sync.WaitGroup
	defer doors.Wait()
	defer cancel()
	a.once.Do(a.init)
	open := func(from access, where string, l net.Listener, err error) {
		if err == nil {
			doors.Go(func() { a.answer(ctx, l, from) })
			return
		}
		a.Log.Error("cannot answer", "at", where, "error", err)
	}
	l, err := listenSocket(socket)
	open(local, socket, l, err)
	if listen != "" {
		l, err := net.Listen("tcp", listen)
		open(remote, listen, l, err)
	}
	return a.Run(ctx)
}

func (a *Agent) answer(ctx context.Context, l net.Listener, from access) {
	if err := a.serve(ctx, l, from); err != nil {
		a.Log.Error("stopped answering", "at", l.Addr().String(), "error", err)
	}
}
