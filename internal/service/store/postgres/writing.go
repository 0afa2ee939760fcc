package postgres

import (
	"fmt"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// writing turns changes into statements. What comes by the thousand is gathered and written by one statement for all: machines,
// events and ends of grants touch tables that no other change does, so that their order does not matter. Only the removal of a
// machine touches more: it is gathered too, and written before any other change that comes after it.
type writing struct {
	batch    *pgx.Batch
	machines []store.Machine
	index    map[key]int // of the machines: the last change of one wins
	events   []store.Event
	ended    []key // machines that give their places back
	removed  []key // machines that go; nothing else is gathered after them
}

// key names a machine.
type key struct{ app, id string }

func newWriting() *writing { return &writing{batch: &pgx.Batch{}, index: map[key]int{}} }

func (w *writing) queue(sql string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = text(s)
		}
	}
	w.batch.Queue(sql, args...)
}

func (w *writing) add(change store.Change) {
	removal, isRemoval := change.(store.RemoveMachine)
	if isRemoval {
		w.removed = append(w.removed, key{text(removal.App), text(removal.ID)})
		return
	}
	if len(w.removed) > 0 {
		w.flush()
	}
	switch c := change.(type) {
	case store.PutMachine:
		w.putMachine(c.Machine)
	case store.AddEvent:
		w.events = append(w.events, c.Event)
	case store.EndGrant:
		w.ended = append(w.ended, key{text(c.App), text(c.Machine)})
	default:
		w.write(change)
	}
}

func (w *writing) putMachine(m store.Machine) {
	m.App, m.ID = text(m.App), text(m.ID)
	k := key{m.App, m.ID}
	if i, again := w.index[k]; again {
		w.machines[i] = m
		return
	}
	w.index[k] = len(w.machines)
	w.machines = append(w.machines, m)
}

// flush writes what was gathered. Places come last, because others wait for them.
func (w *writing) flush() {
	w.flushMachines()
	w.flushEvents()
	w.flushRemoved()
	w.flushEnded()
}

// write queues a change that is written by itself.
func (w *writing) write(change store.Change) {
	switch c := change.(type) {
	case store.PutApp, store.PutRelease, store.PutChannel, store.PutGroup, store.PutRollout, store.PutToken:
		w.put(c)
	case store.PutBar, store.PutHalt, store.PutPin, store.AddActivity, store.AddSample, store.AddDownloads:
		w.note(c)
	case store.RemoveGroup:
		w.queue(`DELETE FROM rollout WHERE app = $1 AND fleet_group = $2`, c.App, c.Name)
		w.queue(`DELETE FROM download WHERE app = $1 AND fleet_group = $2`, c.App, c.Name)
		w.queue(`DELETE FROM fleet_group WHERE app = $1 AND name = $2`, c.App, c.Name)
	case store.RemoveChannel:
		w.queue(`DELETE FROM channel_release WHERE app = $1 AND channel = $2`, c.App, c.Name)
		w.queue(`DELETE FROM channel WHERE app = $1 AND name = $2`, c.App, c.Name)
	case store.RemoveRelease:
		w.queue(`DELETE FROM download WHERE app = $1 AND arch = $2 AND version = $3`, c.App, c.Arch, c.Version)
		w.queue(`DELETE FROM release WHERE app = $1 AND arch = $2 AND version = $3`, c.App, c.Arch, c.Version)
	case store.RemoveBar:
		w.queue(`DELETE FROM bar WHERE app = $1 AND machine = $2 AND version = $3`, c.App, c.Machine, c.Version)
	case store.RemoveHalt:
		w.queue(`DELETE FROM halt WHERE app = $1 AND arch = $2 AND version = $3`, c.App, c.Arch, c.Version)
	case store.RemoveRollout:
		w.queue(`DELETE FROM rollout WHERE app = $1 AND fleet_group = $2 AND arch = $3 AND version = $4`, c.App, c.Group, c.Arch, c.Version)
	case store.RemovePin:
		w.queue(`DELETE FROM pin WHERE app = $1 AND machine = $2`, c.App, c.Machine)
	case store.RemoveToken:
		w.queue(`DELETE FROM token WHERE id = $1`, c.ID)
	default:
		panic(fmt.Sprintf("%T is no change that this store knows", change))
	}
}
