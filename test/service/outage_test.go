package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// withoutDatabase checks what holds while the database takes nothing: polls are answered from memory, no places are given, events get
// 503. And afterwards, without a restart, everything works again.
func withoutDatabase(t *testing.T, s *server.Server, take, giveBack func()) {
	stable := load.Flatcar("stable", server.OldVersion)
	event := stable.Event(s.Target(), `eventtype="13" eventresult="1"`)
	poll := limited.Poll(s.Target(), "")
	if got := kind(t, s, poll, 0); got != load.Offer {
		t.Fatalf("with a database the first machine that wants a place is answered %q", got)
	}
	if got := len(offered(t, s, stable, 20)); got != 20 {
		t.Fatalf("with a database %d of 20 machines are offered the update of a group without a limit", got)
	}
	take()
	eventually(t, "an event is refused", func() bool { return kind(t, s, event, 1) == load.Busy })
	if got := len(offered(t, s, stable, 20)); got != 20 {
		t.Errorf("without a database %d of 20 machines are offered an update that has no limit", got)
	}
	for machine := 1; machine < 20; machine++ {
		if got := kind(t, s, poll, machine); got != load.NoUpdate {
			t.Errorf("without a database machine %d, which wants a place, is answered %q", machine, got)
		}
	}
	giveBack()
	eventually(t, "an event is acknowledged again", func() bool { return kind(t, s, event, 1) == load.Acknowledged })
	eventually(t, "a place is given again", func() bool { return kind(t, s, poll, 1) == load.Offer })
}

// inside is a file of a server that has mounts of its own.
func inside(s *server.Server, name string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", s.PID()), s.Data, name)
}

// onSmallDisk starts servers on a disk of their own in memory, which is gone with them.
func onSmallDisk(t *testing.T) server.Config {
	data := t.TempDir()
	const script = `mount -t tmpfs -o size=64m tmpfs "$0" && exec "$@"`
	return server.Config{Data: data, Wrap: []string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, data}}
}

func TestFullDisk(t *testing.T) {
	s := flatcar(t, onSmallDisk(t))
	operate(t, s, addLimited())
	filler := inside(s, "filler")
	withoutDatabase(t, s,
		func() { must(t, fill(filler)) },
		func() { must(t, os.Remove(filler)) },
	)
}

func TestDatabaseGone(t *testing.T) {
	database := pgtest.Start(t)
	s := flatcar(t, server.Config{Database: database.URL("postgres")})
	operate(t, s, addLimited())
	withoutDatabase(t, s, database.Kill, func() { database.Restart(t) })
}

// fill writes a file until the disk is full.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err == nil {
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
		size /= 2
	}
	return nil
}
