package main

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"time"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/sqlite"
)

// keeper is a database that machines are put into.
type keeper interface {
	Apply(ctx context.Context, changes []store.Change) error
	Close() error
}

func openKeeper(ctx context.Context, c server.Config) (keeper, error) {
	if c.Database != "" {
		return openPostgres(ctx, c.Database)
	}
	return sqlite.Open(ctx, filepath.Join(c.Data, "conifer.db"))
}

// seedBatch is how many machines share a transaction.
const seedBatch = 10_000

// seed puts machines into a database that a server has made, as if each had been asking for a year, the last time within the last hour.
func seed(ctx context.Context, c server.Config, machines int) error {
	k, err := openKeeper(ctx, c)
	if err != nil {
		return err
	}
	f, now, batch := fleet(), time.Now().UTC().Truncate(time.Second), make([]store.Change, 0, seedBatch)
	for done, n := range f.ByID(machines) {
		batch = append(batch, store.PutMachine{Machine: store.Machine{
			App: server.Flatcar, ID: f.MachineID(int(n)), Group: f.Track, Arch: "amd64",
			Progress: rollout.Progress{State: rollout.Idle, Version: f.Version}, Address: "127.0.0.1",
			Since: now.AddDate(-1, 0, 0), FirstSeen: now.AddDate(-1, 0, 0), LastSeen: now.Add(-time.Duration(n%3600) * time.Second),
		}})
		if len(batch) < seedBatch && done < machines-1 {
			continue
		}
		if err := k.Apply(ctx, batch); err != nil {
			return errors.Join(err, k.Close())
		}
		batch = batch[:0]
		if done+1 == machines || (done+1)%1_000_000 == 0 {
			talk("  %s of %s machines", page.Number(done+1), page.Number(machines))
		}
	}
	return k.Close()
}

// seedOnly fills the database of a data folder, for a try by hand.
func seedOnly(ctx context.Context, args []string) error {
	var c server.Config
	machines, binaries := 0, ""
	f := flag.NewFlagSet("seed", flag.ExitOnError)
	f.StringVar(&c.Data, "data", "", "data folder of a server that does not run now")
	f.StringVar(&c.Database, "database", "", "URL of its PostgreSQL database, which is emptied before")
	f.StringVar(&binaries, "binaries", "bin", "folder of conifer-server and conifer")
	f.IntVar(&machines, "machines", 100_000, "machines")
	if err := f.Parse(args); err != nil {
		return err
	}
	if c.Data == "" {
		return errors.New("say where with -data")
	}
	c.Programs = server.Programs{Server: binaries + "/conifer-server", Conifer: binaries + "/conifer"}
	if err := prepare(ctx, c); err != nil {
		return err
	}
	return seed(ctx, c, machines)
}
