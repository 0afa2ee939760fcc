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
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/files"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store/sqlite"
)

// stopTime is how long requests under way may take when the service is asked to stop.
const stopTime = 10 * time.Second

// serve runs the service until ctx ends, and then leaves everything written.
func serve(ctx context.Context, env cli.Env, settings Config, dev bool) (err error) {
	log, err := logger(env.Stderr, settings.LogFormat)
	if err != nil {
		return err
	}
	service, opened, err := open(ctx, settings, log)
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
	log.Info("listening", "address", listener.Addr().String(), "data", settings.Data)
	fmt.Fprintln(env.Stderr, "ready")
	return serveUntil(ctx, listener, service.Handler(), log)
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

// closers close what was opened.
type closers []func() error

// close closes the last one first.
func (c closers) close() (err error) {
	for _, shut := range slices.Backward(c) {
		err = errors.Join(err, shut())
	}
	return err
}

// open opens everything that the service works with. What was opened is to be closed, after an error too.
func open(ctx context.Context, settings Config, log *slog.Logger) (service *api.Server, opened closers, err error) {
	if err := os.MkdirAll(settings.Data, 0o750); err != nil {
		return nil, opened, err
	}
	locked, err := lock(settings.Data)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, locked.Close)
	token, err := api.LoadToken(filepath.Join(settings.Data, "admin.token"))
	if err != nil {
		return nil, opened, err
	}
	folder, err := files.Open(filepath.Join(settings.Data, "files"), settings.MaxUploadBytes)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, folder.Close)
	database, err := databasePath(settings)
	if err != nil {
		return nil, opened, err
	}
	db, err := sqlite.Open(ctx, database)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, db.Close)
	memory, err := fleet.Open(ctx, db, log, time.Now)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, func() error {
		memory.Close()
		return nil
	})
	return &api.Server{
		Fleet: memory, Files: folder, History: db, Token: token, ExternalURL: settings.ExternalURL, Registry: registry(memory, folder), Log: log,
	}, opened, nil
}

func databasePath(settings Config) (string, error) {
	scheme, path, given := strings.Cut(settings.Database, ":")
	switch {
	case !given && settings.Database == "":
		return filepath.Join(settings.Data, "conifer.db"), nil
	case given && scheme == "sqlite" && path != "":
		return strings.TrimPrefix(path, "//"), nil
	}
	return "", fault.New(fault.Unsupported, "database %q is not sqlite:PATH", settings.Database).
		WithHint("SQLite is the only database of this version.")
}

func registry(memory *fleet.Fleet, folder *files.Folder) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(memory.Metrics.Collectors()...)
	r.MustRegister(folder.Collectors()...)
	return r
}

// serveUntil answers requests until ctx ends, then lets those under way finish. There is no time limit on a whole
// request here, because a payload takes as long as the machine's link needs: the handlers set their own.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	limited, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := server.Shutdown(limited); err != nil {
		log.Warn("requests were cut off", "error", err)
		return server.Close()
	}
	return nil
}
