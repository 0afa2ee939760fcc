package sqlite

import (
	"context"
	"database/sql"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// machineInsert replaces without looking first: the table has one index, and nothing refers to it.
const (
	machineInsert = `INSERT OR REPLACE INTO machine_row (app, id, alias, fleet_group, arch, state, version, target, error_code,
	since, granted, address, first_seen, last_seen) VALUES`
	machineColumns = 14
)

func (t *transaction) machineRow(r *rows, m *store.Machine) error {
	app, err := t.appNumber(m.App)
	if err != nil {
		return err
	}
	var w [5]any
	for i, text := range [...]string{m.Group, m.Arch, string(m.State), m.Version, m.Target} {
		if w[i], err = t.word(text); err != nil {
			return err
		}
	}
	return t.add(r, app, m.ID, m.Alias, w[0], w[1], w[2], w[3], w[4], int64(m.Code),
		millis(m.Since), m.Granted, m.Address, millis(m.FirstSeen), millis(m.LastSeen))
}

// removeMachine removes a machine with what is its own; its events stay.
func (t *transaction) removeMachine(c store.RemoveMachine) error {
	app, err := t.appNumber(c.App)
	if err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM machine_row WHERE app = ? AND id = ?`, app, c.ID); err != nil {
		return err
	}
	for _, text := range []string{
		`DELETE FROM bar WHERE app = ? AND machine = ?`, `DELETE FROM pin WHERE app = ? AND machine = ?`, `DELETE FROM held WHERE app = ? AND machine = ?`,
	} {
		if err := t.exec(text, c.App, c.ID); err != nil {
			return err
		}
	}
	return nil
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
