package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"conifer.dev/conifer/internal/cluster/api"
	"conifer.dev/conifer/internal/cluster/etcd"
	"conifer.dev/conifer/internal/fault"
)

// drainTimeout is how long a stopping program waits for requests under way.
const drainTimeout = 5 * time.Second

// serve runs until ctx ends or something it needs fails.
func serve(ctx context.Context, s settings, talk io.Writer, log *slog.Logger) error {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return err
	}
	store, failed, closeStore, err := openStore(ctx, s, log)
	if err != nil {
		return err
	}
	defer closeStore()
	server := api.New(etcd.NewLocks(store, time.Now), s.groups(), log)
	if err := server.Prepare(ctx); err != nil {
		return err
	}
	public, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err)
	}
	defer public.Close()
	admin, err := api.ListenAdmin(adminSocket(s.Data))
	if err != nil {
		return err
	}
	defer admin.Close()

	d := doors{ended: make(chan error, 2)}
	d.open(api.HTTP(server.Public(exposition(server)), log), public)
	d.open(api.HTTP(server.Admin(), log), admin)
	log.Info("listening", "address", public.Addr().String(), "groups", len(s.groups()))
	fmt.Fprintln(talk, "ready")
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("systemd was not told", "error", err)
	}
	return d.wait(ctx, failed)
}

func adminSocket(data string) string { return filepath.Join(data, "admin.sock") }

// openStore connects to the operator's etcd, or starts one. The channel tells when the latter ends by itself.
func openStore(ctx context.Context, s settings, log *slog.Logger) (store *etcd.Store, failed <-chan error, closeAll func(), err error) {
	c := etcd.Config{Endpoints: s.Etcd.Endpoints, CAFile: s.Etcd.CAFile, CertFile: s.Etcd.CertFile, KeyFile: s.Etcd.KeyFile}
	closeServer := func() {}
	if len(c.Endpoints) == 0 {
		server, err := etcd.StartEmbedded(ctx, s.Data, log)
		if err != nil {
			return nil, nil, nil, err
		}
		c = etcd.Config{Endpoints: []string{server.Endpoint()}}
		failed, closeServer = server.Failed(), func() { server.Close() }
	}
	store, err = etcd.Dial(c, log)
	if err != nil {
		closeServer()
		return nil, nil, nil, err
	}
	return store, failed, func() { store.Close(); closeServer() }, nil
}

func exposition(server *api.Server) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(server.Metrics(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// doors are the HTTP servers of the program.
type doors struct {
	servers []*http.Server
	ended   chan error
}

func (d *doors) open(server *http.Server, l net.Listener) {
	d.servers = append(d.servers, server)
	go func() { d.ended <- server.Serve(l) }()
}

// wait ends with ctx, or with the first failure, after the requests under way.
func (d *doors) wait(ctx context.Context, failed <-chan error) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-d.ended:
	case err = <-failed:
		err = fault.New(fault.Internal, "embedded etcd ended: %v", err)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	for _, server := range d.servers {
		err = errors.Join(err, server.Shutdown(drain))
	}
	return err
}
