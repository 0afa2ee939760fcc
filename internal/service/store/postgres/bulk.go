package postgres

import "conifer.dev/conifer/internal/service/store"

// columns gathers values for unnest: one array for each column instead of a row for each record.
type columns[T any] struct {
	texts   []func(T) string
	numbers []func(T) int64
	bools   []func(T) bool
}

// arrays are the statement's arguments: the columns of text first, then those of numbers, then those of truth.
func (c columns[T]) arrays(rows []T) []any {
	var args []any
	for _, of := range c.texts {
		args = append(args, gather(rows, func(r T) string { return text(of(r)) }))
	}
	for _, of := range c.numbers {
		args = append(args, gather(rows, of))
	}
	for _, of := range c.bools {
		args = append(args, gather(rows, of))
	}
	return args
}

func gather[T, V any](rows []T, of func(T) V) []V {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	return values
}

var machineColumns = columns[store.Machine]{
	texts: []func(store.Machine) string{
		func(m store.Machine) string { return m.App },
		func(m store.Machine) string { return m.ID },
		func(m store.Machine) string { return m.Alias },
		func(m store.Machine) string { return m.Group },
		func(m store.Machine) string { return m.Arch },
		func(m store.Machine) string { return string(m.State) },
		func(m store.Machine) string { return m.Version },
		func(m store.Machine) string { return m.Target },
		func(m store.Machine) string { return m.Address },
	},
	numbers: []func(store.Machine) int64{
		func(m store.Machine) int64 { return int64(m.Code) },
		func(m store.Machine) int64 { return millis(m.Since) },
		func(m store.Machine) int64 { return millis(m.FirstSeen) },
		func(m store.Machine) int64 { return millis(m.LastSeen) },
	},
	bools: []func(store.Machine) bool{func(m store.Machine) bool { return m.Granted }},
}

const putMachines = `INSERT INTO machine (app, id, alias, fleet_group, arch, state, version, target, address,
		error_code, since, first_seen, last_seen, granted)
	SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		$10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::boolean[])
	ON CONFLICT (app, id) DO UPDATE SET alias = excluded.alias, fleet_group = excluded.fleet_group, arch = excluded.arch,
		state = excluded.state, version = excluded.version, target = excluded.target, address = excluded.address,
		error_code = excluded.error_code, since = excluded.since, first_seen = excluded.first_seen,
		last_seen = excluded.last_seen, granted = excluded.granted`

func (w *writing) flushMachines() {
	if len(w.machines) == 0 {
		return
	}
	w.queue(putMachines, machineColumns.arrays(w.machines)...)
	w.machines = nil
	clear(w.index)
}

var eventColumns = columns[store.Event]{
	texts: []func(store.Event) string{
		func(e store.Event) string { return e.App },
		func(e store.Event) string { return e.Machine },
		func(e store.Event) string { return e.Version },
		func(e store.Event) string { return e.Previous },
		func(e store.Event) string { return e.Target },
		func(e store.Event) string { return string(e.State) },
	},
	numbers: []func(store.Event) int64{
		func(e store.Event) int64 { return millis(e.At) },
		func(e store.Event) int64 { return int64(e.Type) },
		func(e store.Event) int64 { return int64(e.Result) },
		func(e store.Event) int64 { return int64(e.Code) },
	},
}

const addEvents = `INSERT INTO event (app, machine, version, previous, target, state, at, type, result, error_code)
	SELECT app, machine, version, previous, target, state, at, type, result, error_code
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
		WITH ORDINALITY AS e (app, machine, version, previous, target, state, at, type, result, error_code, position)
	ORDER BY position`

func (w *writing) flushEvents() {
	if len(w.events) == 0 {
		return
	}
	w.queue(addEvents, eventColumns.arrays(w.events)...)
	w.events = nil
}

// lockLedgers locks the ledgers that endPlaces changes before it touches a place, as Grant does.
const lockLedgers = `SELECT 1 FROM ledger WHERE (app, fleet_group) IN (
		SELECT p.app, p.fleet_group FROM unnest($1::text[], $2::text[]) AS m (app, machine)
		JOIN place p ON p.app = m.app AND p.machine = m.machine AND p.ended = 0)
	ORDER BY app, fleet_group FOR UPDATE`

const endPlaces = `WITH gone AS (
		UPDATE place p SET ended = ` + now + ` FROM unnest($1::text[], $2::text[]) AS m (app, machine)
		WHERE p.app = m.app AND p.machine = m.machine AND p.ended = 0 RETURNING p.app, p.fleet_group),
	counted AS (SELECT app, fleet_group, count(*) AS places FROM gone GROUP BY app, fleet_group)
	UPDATE ledger l SET open = l.open - c.places FROM counted c WHERE l.app = c.app AND l.fleet_group = c.fleet_group`

// flushRemoved removes machines with what is theirs. Their places end with those of others.
func (w *writing) flushRemoved() {
	if len(w.removed) == 0 {
		return
	}
	apps, machines := split(w.removed)
	for table, id := range map[string]string{"bar": "machine", "pin": "machine", "machine": "id"} {
		w.queue(`DELETE FROM `+table+` r USING unnest($1::text[], $2::text[]) AS m (app, machine)
			WHERE r.app = m.app AND r.`+id+` = m.machine`, apps, machines)
	}
	w.ended = append(w.ended, w.removed...)
	w.removed = nil
}

func split(machines []key) (apps, ids []string) {
	return gather(machines, func(k key) string { return k.app }), gather(machines, func(k key) string { return k.id })
}

func (w *writing) flushEnded() {
	if len(w.ended) == 0 {
		return
	}
	apps, machines := split(w.ended)
	w.queue(lockLedgers, apps, machines)
	w.queue(endPlaces, apps, machines)
	w.ended = nil
}
