package sqlite

import (
	"context"
	"database/sql"
	"sync"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// chunk is how many machines are handed over at once.
const chunk = 256

// loadMachines reads machines on both connections, and yields them here.
func (s *Store) loadMachines(ctx context.Context, side [2]*sql.Tx, yield func(store.Change) error) error {
	held, err := holders(ctx, side[0])
	if err != nil {
		return err
	}
	parts, err := s.spans(ctx, side[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan span, len(parts))
	for _, p := range parts {
		todo <- p
	}
	close(todo)
	chunks, failed := make(chan []store.Change, 8), make(chan error, len(side))
	var wait sync.WaitGroup
	for _, tx := range side {
		wait.Go(func() {
			if err := s.readMachines(ctx, tx, todo, held, chunks); err != nil {
				cancel() // the other one need not go on
				failed <- err
			}
		})
	}
	go func() { wait.Wait(); close(failed); close(chunks) }()
	if err := yieldAll(chunks, cancel, yield); err != nil {
		return err
	}
	return <-failed // the first, or none
}

// yieldAll yields what is read until the end. After an error of yield it lets the readers end, and returns that error.
func yieldAll(chunks <-chan []store.Change, cancel func(), yield func(store.Change) error) (err error) {
	for changes := range chunks {
		for _, c := range changes {
			if err != nil {
				break
			}
			if err = yield(c); err != nil {
				cancel()
			}
		}
	}
	return err
}

// readMachines reads parts of the machines until there are none left, and sends them in chunks.
func (s *Store) readMachines(ctx context.Context, tx *sql.Tx, todo <-chan span, held map[holder]bool, chunks chan<- []store.Change) error {
	changes := make([]store.Change, 0, chunk)
	send := func() error {
		select {
		case chunks <- changes:
			changes = make([]store.Change, 0, chunk)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for p := range todo {
		err := s.machines(ctx, tx, p, held, func(m store.Machine) error {
			if changes = append(changes, store.PutMachine{Machine: m}); len(changes) < chunk {
				return nil
			}
			return send()
		})
		if err != nil {
			return err
		}
	}
	return send()
}

const (
	appSelect  = `SELECT number FROM word WHERE EXISTS (SELECT * FROM machine_row WHERE app = number)`
	spanSelect = `SELECT id, alias, address, fleet_group, arch, state, version, target, error_code, since, granted, first_seen, last_seen
	FROM machine_row WHERE app = ? AND id >= ? AND id < ?`
)

// span is a part of the machines: those of an application whose ids are from first on and before end.
type span struct {
	app        int64
	first, end any
}

// borders part the machines of an application by how their ids begin. Most ids are hex digits, so the parts are much alike; when they are
// not, one part is longer and nothing else happens.
const borders = "123456789ABCDEFabcdef"

// spans lists parts that together are all machines.
func (s *Store) spans(ctx context.Context, q querier) ([]span, error) {
	var all []span
	err := each(ctx, q, func(rows *sql.Rows) error {
		p := span{first: ""}
		if err := rows.Scan(&p.app); err != nil {
			return err
		}
		for _, border := range borders {
			p.end = string(border)
			all = append(all, p)
			p.first = p.end
		}
		p.end = []byte{} // a blob, which comes after every text
		all = append(all, p)
		return nil
	}, appSelect)
	return all, err
}

type holder struct{ app, machine string }

// holders are the machines that hold a place under a limit.
func holders(ctx context.Context, q querier) (map[holder]bool, error) {
	all := map[holder]bool{}
	err := each(ctx, q, func(rows *sql.Rows) error {
		var h holder
		err := rows.Scan(&h.app, &h.machine)
		all[h] = true
		return err
	}, `SELECT app, machine FROM held`)
	return all, err
}

// machines reads a part of the machines. It scans columns as they come, which costs a third of what converting each to its type does.
func (s *Store) machines(ctx context.Context, q querier, p span, held map[holder]bool, use func(store.Machine) error) error {
	app := s.words.text(p.app)
	var c [machineColumns - 1]any
	var dest [len(c)]any
	for i := range c {
		dest[i] = &c[i]
	}
	return each(ctx, q, func(rows *sql.Rows) error {
		if err := rows.Scan(dest[:]...); err != nil {
			return err
		}
		m := s.machine(app, &c)
		m.Granted = m.Granted || len(held) > 0 && held[holder{app, m.ID}]
		return use(m)
	}, spanSelect, p.app, p.first, p.end)
}

// machine makes a machine of the columns that machines selects. Their types are certain: the table is strict.
func (s *Store) machine(app string, c *[machineColumns - 1]any) store.Machine {
	var text [3]string
	for i := range text {
		text[i], _ = c[i].(string)
	}
	var number [5]int64
	for i := range number {
		number[i], _ = c[8+i].(int64)
	}
	return store.Machine{
		App: app, ID: text[0], Alias: text[1], Address: text[2], Group: s.words.text(c[3]), Arch: s.words.text(c[4]),
		Progress: rollout.Progress{
			State: rollout.State(s.words.text(c[5])), Version: s.words.text(c[6]), Target: s.words.text(c[7]), Code: omaha.ErrorCode(number[0]),
		},
		Since: fromMillis(number[1]), Granted: number[2] != 0, FirstSeen: fromMillis(number[3]), LastSeen: fromMillis(number[4]),
	}
}
