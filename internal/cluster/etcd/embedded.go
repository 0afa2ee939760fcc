package etcd

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"conifer.dev/conifer/internal/fault"
)

// Embedded is an etcd of one member inside this process, for a cluster that has none of its own. Only
// processes that may enter its folder reach it, by the socket there.
type Embedded struct {
	server *embed.Etcd
	socket string
	owner  *os.File // locked while the server runs

	stopping *atomic.Bool
}

// Limits of the embedded server. The locks of a hundred groups are well below one megabyte.
const (
	quotaBytes = 64 << 20
	retention  = "1h" // of old revisions
)

// maxSocketPath is the longest path that the kernel takes for a unix socket.
const maxSocketPath = 107

// StartEmbedded runs the server on the data in dir until Close, and returns when it serves.
func StartEmbedded(ctx context.Context, dir string, log *slog.Logger) (*Embedded, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{socket: filepath.Join(dir, "etcd.sock"), stopping: new(atomic.Bool)}
	if len(e.socket) > maxSocketPath {
		return nil, fault.New(fault.Invalid, "path of the etcd socket has %d bytes, more than %d: %s", len(e.socket), maxSocketPath, e.socket).
			WithHint("Choose a data folder with a shorter path.")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if e.owner, err = own(dir); err != nil {
		return nil, err
	}
	if e.server, err = embed.StartEtcd(embeddedConfig(dir, e.socket, newZap(log, e.stopping))); err != nil {
		e.owner.Close()
		return nil, fmt.Errorf("start embedded etcd: %w", err)
	}
	select {
	case <-e.server.Server.ReadyNotify():
		return e, nil
	case err = <-e.server.Err():
	case <-e.server.Server.StopNotify():
		err = fault.New(fault.Internal, "it stopped by itself")
	case <-ctx.Done():
		err = fault.Wrap(fault.Canceled, ctx.Err())
	}
	e.Close()
	return nil, fmt.Errorf("start embedded etcd: %w", err)
}

// own keeps a second process from the data: etcd itself would wait for ever, without a word.
func own(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fault.New(fault.Busy, "another process uses the data in %s", dir)
	}
	return f, nil
}

func embeddedConfig(dir, socket string, log *zap.Logger) *embed.Config {
	c := embed.NewConfig()
	c.Name = "conifer"
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.Dir = filepath.Join(dir, "etcd")
	// Nobody joins a server of one member, so it does not listen to peers. The peer URL stays a mere name.
	c.ListenPeerUrls = nil
	client := url.URL{Scheme: "unix", Path: socket}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.EnableGRPCGateway = false
	c.QuotaBackendBytes = quotaBytes
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, retention
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	return c
}

// Endpoint is the URL for [Dial].
func (e *Embedded) Endpoint() string { return "unix://" + e.socket }

// Failed tells when the server ends other than by Close.
func (e *Embedded) Failed() <-chan error { return e.server.Err() }

// Close stops the server. What it acknowledged is on disk already.
func (e *Embedded) Close() error {
	e.stopping.Store(true)
	e.server.Close()
	return e.owner.Close()
}
