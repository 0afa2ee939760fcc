package sqlite

import "conifer.dev/conifer/internal/service/store"

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
