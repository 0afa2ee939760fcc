package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/files"
	"conifer.dev/conifer/internal/service/fleet"
)

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
func open(ctx context.Context, settings Config, d door, log *slog.Logger) (service *api.Server, opened closers, err error) {
	if err := os.MkdirAll(settings.Data, 0o750); err != nil {
		return nil, opened, err
	}
	locked, err := lock(settings.Data)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, locked.Close)
	token, err := auth.LoadAdmin(settings.in("admin.token"))
	if err != nil {
		return nil, opened, err
	}
	folder, err := files.Open(settings.in("files"), settings.MaxUploadBytes)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, folder.Close)
	db, err := openDatabase(ctx, settings, log)
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, db.Close)
	memory, err := fleet.Open(ctx, db, log, time.Now, settings.fleet())
	if err != nil {
		return nil, opened, err
	}
	opened = append(opened, func() error {
		memory.Close()
		return nil
	})
	copier, _ := db.(api.Copier)
	return api.New(api.Settings{
		Fleet: memory, Files: folder, History: db, Copier: copier, BackupsIn: settings.in("backups"),
		Users:       auth.Tokens{Admin: token, Find: memory.Token, Now: time.Now},
		ExternalURL: settings.ExternalURL, Proxies: d.proxies, Connections: d.connections, Limits: settings.limits(),
		Registry: registry(memory, folder, d), Log: log,
	}), opened, nil
}

func registry(memory *fleet.Fleet, folder *files.Folder, d door) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(memory.Metrics.Collectors()...)
	r.MustRegister(folder.Collectors()...)
	if d.certificate != nil {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conifer_certificate_not_after_seconds", Help: "When the certificate in use ends, in Unix time.",
		}, func() float64 { return float64(d.certificate.Expires().Unix()) }))
	}
	return r
}
