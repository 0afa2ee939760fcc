package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	_ "time/tzdata" // windows have time zones, and a minimal host has no table of them

	"github.com/coreos/go-systemd/v22/daemon"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/edge"
)

// stopTime is how long requests under way may take when the service is asked to stop.
const stopTime = 10 * time.Second

// serve runs the service until ctx ends, and then leaves everything written.
func serve(ctx context.Context, env cli.Env, settings Config, dev bool) (err error) {
	ballast := tuneMemory()
	defer runtime.KeepAlive(ballast)
	log, err := logger(env.Stderr, settings.LogFormat)
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // what works beside the requests outlives them
	defer stop()
	door, err := openDoor(working, settings, log)
	if err != nil {
		return err
	}
	service, opened, err := open(ctx, settings, door, log)
	defer func() { err = errors.Join(err, opened.close()) }()
	if err != nil {
		return err
	}
	if dev {
		if err := addDefaults(ctx, service.Fleet); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fault.Wrap(fault.Busy, err)
	}
	log.Info("listening", "address", listener.Addr().String(), "data", settings.Data, "tls", door.certificate != nil)
	fmt.Fprintln(env.Stderr, "ready")
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("systemd was not told that the service is ready", "error", err)
	}
	return serveUntil(ctx, door.listen(listener), edge.Serve(service.Handler(), door.connections, log), log)
}

func logger(to io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(to, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, nil)), nil
	}
	return nil, fault.New(fault.Invalid, "log_format is %q, neither text nor json", format)
}

// door is what stands between the network and the service.
type door struct {
	proxies     edge.Proxies
	connections *edge.Connections
	certificate *edge.Certificate // nil for plain HTTP
}

// openDoor makes it, with what looks after it until ctx ends.
func openDoor(ctx context.Context, settings Config, log *slog.Logger) (d door, err error) {
	if d.proxies, err = edge.ParseProxies(settings.TrustedProxies); err != nil {
		return d, err
	}
	d.connections = edge.NewConnections(allowed(settings.Limits.MaxConnections, log))
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP) // without a certificate there is nothing to read again, and nothing to end for
	context.AfterFunc(ctx, func() { signal.Stop(told) })
	if settings.TLSCertificate == "" {
		return d, nil
	}
	if d.certificate, err = edge.OpenCertificate(settings.TLSCertificate, settings.TLSKey, log); err != nil {
		return d, err
	}
	go d.certificate.Follow(ctx, told)
	return d, nil
}

// spareFiles are for everything that is not a connection: the database, files that are sent.
const spareFiles = 512

// allowed is how many connections this process may have, which no setting can change.
func allowed(wanted int, log *slog.Logger) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return wanted
	}
	most := max(int(min(files.Cur, 1<<30))-spareFiles, 64)
	if wanted > most {
		log.Warn("there are fewer connections than limits.max_connections, because of the limit on open files", "connections", most, "open_files", files.Cur)
	}
	return min(wanted, most)
}

func (d door) listen(l net.Listener) net.Listener {
	l = d.connections.Listen(l)
	if d.certificate != nil {
		l = tls.NewListener(l, d.certificate.Config())
	}
	return l
}

// serveUntil answers requests until ctx ends, then lets those under way finish.
func serveUntil(ctx context.Context, listener net.Listener, server *http.Server, log *slog.Logger) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		log.Warn("requests were cut off", "error", err)
		return server.Close()
	}
	return nil
}
