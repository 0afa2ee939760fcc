package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// grant is a transaction that gives places of one group, whose ledger it has locked.
type grant struct {
	used
	limit  store.Limit
	locked map[string]bool  // groups whose ledgers are locked
	held   map[string]place // by machine
	back   []string         // machines whose place of another version or group goes back
	places []store.Ask      // that are begun; their serial numbers follow the ledger's
	first  int64            // serial number of the first of places
}

// place is one that a machine holds.
type place struct{ group, version string }

// lockGroups locks the ledger of the group and those of other groups in which the machines hold places that will go back, in the
// order in which everybody locks them.
const lockGroups = `SELECT fleet_group FROM ledger WHERE app = $1 AND (fleet_group = $2 OR fleet_group IN (
		SELECT p.fleet_group FROM unnest($3::text[]) AS a (machine), ` + heldByMachine + `))
	ORDER BY app, fleet_group FOR UPDATE`

// heldByMachine is the place that machine a of application $1 holds. It is looked up for each machine by itself: asked for as a set,
// PostgreSQL may read all places that are held.
const heldByMachine = `LATERAL (SELECT * FROM place WHERE app = $1 AND machine = a.machine AND ended = 0 LIMIT 1) p`

const readHeld = `SELECT p.machine, p.fleet_group, p.version FROM unnest($2::text[]) AS a (machine), ` + heldByMachine

// lockedGrant locks the group's ledger, makes it if there is none, and reads what the decision needs, in one round trip.
func lockedGrant(ctx context.Context, tx pgx.Tx, limit store.Limit, asks []store.Ask) (*grant, error) {
	g := &grant{limit: limit, locked: map[string]bool{}, held: map[string]place{}}
	machines := gather(asks, func(a store.Ask) string { return text(a.Machine) })
	var b pgx.Batch
	b.Queue(`INSERT INTO ledger (app, fleet_group, serial, open, last) VALUES ($1, $2, 0, 0, 0) ON CONFLICT DO NOTHING`, limit.App, limit.Group)
	b.Queue(lockGroups, limit.App, limit.Group, machines).Query(g.readLocked)
	b.Queue(readUsed, limit.App, limit.Group, period(limit)).QueryRow(func(row pgx.Row) error {
		return row.Scan(&g.now, &g.serial, &g.open, &g.begun)
	})
	b.Queue(readHeld, limit.App, machines).Query(g.readHeld)
	err := tx.SendBatch(ctx, &b).Close()
	g.first = g.serial + 1
	return g, err
}

func (g *grant) readLocked(rows pgx.Rows) error {
	var group string
	_, err := pgx.ForEachRow(rows, []any{&group}, func() error {
		g.locked[group] = true
		return nil
	})
	return err
}

func (g *grant) readHeld(rows pgx.Rows) error {
	var machine string
	var p place
	_, err := pgx.ForEachRow(rows, []any{&machine, &p.group, &p.version}, func() error {
		g.held[machine] = p
		if !g.locked[p.group] {
			return errMoved
		}
		return nil
	})
	return err
}

// errMoved says that a machine was given a place in another group just before this transaction had its locks.
var errMoved = errors.New("a machine has a place in a group whose ledger is not locked")

// decide answers the asks one by one: who holds a place has it again, and everybody else takes one while there are any.
func (g *grant) decide(asks []store.Ask) []bool {
	granted := make([]bool, len(asks))
	for i, ask := range asks {
		ask = store.Ask{Machine: text(ask.Machine), Version: text(ask.Version)}
		granted[i] = g.again(ask) || g.take(ask)
	}
	return granted
}

// again tells whether the machine holds a place for what it asks. One for something else goes back.
func (g *grant) again(ask store.Ask) bool {
	held, holds := g.held[ask.Machine]
	if !holds || held == (place{g.limit.Group, ask.Version}) {
		return holds
	}
	delete(g.held, ask.Machine)
	g.back = append(g.back, ask.Machine)
	if held.group == g.limit.Group {
		g.open--
	}
	return false
}

func (g *grant) take(ask store.Ask) bool {
	l := g.limit
	if l.PerPeriod > 0 && g.begun >= int64(l.PerPeriod) || l.AtOnce > 0 && g.open >= int64(l.AtOnce) {
		return false
	}
	g.begun++
	g.open++
	g.serial++
	g.held[ask.Machine] = place{l.Group, ask.Version}
	g.places = append(g.places, ask)
	return true
}

// write makes what was decided true. A place that goes back may be of another group, whose ledger counts one less.
func (g *grant) write(ctx context.Context, tx pgx.Tx) error {
	if len(g.back) == 0 && len(g.places) == 0 {
		return nil
	}
	var b pgx.Batch
	if len(g.back) > 0 {
		apps := gather(g.back, func(string) string { return g.limit.App })
		b.Queue(endPlaces, apps, g.back)
	}
	b.Queue(`INSERT INTO place (app, fleet_group, serial, machine, version, begun, ended)
		SELECT $1, $2, $3 + position - 1, machine, version, $4, 0
		FROM unnest($5::text[], $6::text[]) WITH ORDINALITY AS a (machine, version, position)`,
		g.limit.App, g.limit.Group, g.first, g.now,
		gather(g.places, func(a store.Ask) string { return a.Machine }), gather(g.places, func(a store.Ask) string { return a.Version }))
	b.Queue(`UPDATE ledger SET serial = $3, open = $4, last = $5 WHERE app = $1 AND fleet_group = $2`,
		g.limit.App, g.limit.Group, g.serial, g.open, g.now)
	return tx.SendBatch(ctx, &b).Close()
}
