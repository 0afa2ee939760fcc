package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// subject is a service that is measured.
type subject interface {
	target() load.Target
	watch() []load.Process
	set(ctx context.Context, p policy) error // for the group of all machines
	close() error
}

// ours is a conifer-server that was started with known machines.
type ours struct {
	*server.Server
	databasePID int
}

// startOurs seeds a database and starts a server on it.
func startOurs(ctx context.Context, s *settings, known int) (o *ours, err error) {
	folder, err := os.MkdirTemp(s.folder, "conifer-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if o == nil {
			err = errors.Join(err, os.RemoveAll(folder))
		}
	}()
	config := server.Config{Programs: server.Programs{Server: s.binary + "/conifer-server", Conifer: s.binary + "/conifer"}, Data: folder}
	if s.database != "" {
		if config.Database, err = ownPostgres(ctx, s.database, known); err != nil {
			return nil, err
		}
	}
	if err := prepare(ctx, config); err != nil {
		return nil, err
	}
	talk("making %s machines known", page.Number(known))
	if err := seed(ctx, config, known); err != nil {
		return nil, err
	}
	running, err := config.Start(ctx)
	if err != nil {
		return nil, err
	}
	talk("conifer-server is ready after %.1f s", running.StartTime.Seconds())
	return &ours{running, s.databasePID}, nil
}

// prepare lets the service make its own schema, and the operator what machines need.
func prepare(ctx context.Context, config server.Config) error {
	if config.Database != "" {
		if err := emptyPostgres(ctx, config.Database); err != nil {
			return err
		}
	}
	s, err := config.Start(ctx)
	if err != nil {
		return err
	}
	err = s.AddFlatcar(ctx)
	if err == nil {
		err = s.Operate(ctx, fmt.Sprintf("channel set %s --app flatcar --arch amd64 --release %s", group, server.OldVersion),
			fmt.Sprintf("group set %s --app flatcar --channel %[1]s", group))
	}
	return errors.Join(err, s.Stop())
}

func (o *ours) target() load.Target { return o.Target() }

func (o *ours) watch() []load.Process { return processes(o.PID(), o.databasePID) }

func (o *ours) set(ctx context.Context, p policy) error {
	release, limit := server.OldVersion, ""
	if p.update {
		release = server.NewVersion
	}
	if p.limit > 0 {
		limit = fmt.Sprintf("%d/%.0fm", p.limit, period.Minutes())
	}
	if err := o.Operate(ctx, fmt.Sprintf("channel set %s --app flatcar --arch amd64 --release %s", group, release)); err != nil {
		return err
	}
	_, err := o.Conifer(ctx, "group", "set", group, "--app", "flatcar", "--max-per-period", limit)
	return err
}

func (o *ours) close() error { return errors.Join(o.Stop(), os.RemoveAll(o.Data)) }

// talk says on stderr what is being done.
func talk(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
