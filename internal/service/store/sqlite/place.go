package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// setBack is how far a clock may seem to go back, for askers whose now was taken in another order than they got here. Beyond it the
// clock was set.
const setBack = time.Minute

// ledger is what is known of a limit's group while places are given.
type ledger struct {
	finder
	limit    store.Limit
	now      time.Time
	id       int64
	newest   int64 // serial of the place that began last
	newestAt int64 // when that was
	held     int
	begun    int // in the period
}

// finder reads a row.
type finder interface {
	find(dest []any, text string, args ...any) (bool, error)
}

// openLedger is a ledger that is being written.
type openLedger struct {
	ledger
	*session
}

// Grant gives places under a limit, in the order of the asks, as long as there are any. They are durable when it returns.
func (s *Store) Grant(ctx context.Context, limit store.Limit, asks []store.Ask, now time.Time) (a store.Allowance, err error) {
	err = s.write(ctx, func(t *transaction) error {
		a, err = t.grant(limit, asks, now)
		return err
	})
	if err != nil {
		return store.Allowance{}, err
	}
	return a, nil
}

func (t *transaction) grant(limit store.Limit, asks []store.Ask, now time.Time) (store.Allowance, error) {
	l := &openLedger{ledger{finder: t, limit: limit, now: now}, t.session}
	if err := l.read(); err != nil {
		return store.Allowance{}, err
	}
	if err := l.setBack(); err != nil {
		return store.Allowance{}, err
	}
	if err := l.inPeriod(); err != nil {
		return store.Allowance{}, err
	}
	granted, err := l.places(asks)
	if err != nil {
		return store.Allowance{}, err
	}
	a, err := l.allowance()
	a.Granted = granted
	return a, err
}

// places gives places to those who ask, and writes down which was the newest.
func (l *openLedger) places(asks []store.Ask) (granted []bool, err error) {
	before := l.newest
	granted = make([]bool, len(asks))
	for i, ask := range asks {
		if granted[i], err = l.place(ask); err != nil {
			return nil, err
		}
	}
	if l.newest != before {
		err = l.exec(`UPDATE ledger SET newest = ?, newest_at = ? WHERE id = ?`, l.newest, l.newestAt, l.id)
	}
	return granted, err
}

const ledgerSelect = `SELECT id, newest, newest_at, held FROM ledger WHERE app = ? AND fleet_group = ?`

// read finds the ledger. A group that nobody got a place in has none yet, and an id of 0.
func (l *ledger) read() error {
	_, err := l.find([]any{&l.id, &l.newest, &l.newestAt, &l.held}, ledgerSelect, l.limit.App, l.limit.Group)
	return err
}

// setBack lets places that began in the future begin now where the clock was set back, so that they do not count until that future comes.
func (l *openLedger) setBack() error {
	if l.newestAt <= l.now.Add(setBack).UnixMilli() {
		return nil
	}
	l.newestAt = l.ceiling()
	if err := l.exec(`UPDATE begun SET at = ? WHERE ledger = ? AND at > ?`, l.newestAt, l.id, l.newestAt); err != nil {
		return err
	}
	return l.exec(`UPDATE ledger SET newest_at = ? WHERE id = ?`, l.newestAt, l.id)
}

// Times are rounded so that what is no longer counted was begun a whole period ago: when a place begins up, and now otherwise down.
func (l *ledger) ceiling() int64 {
	return l.now.Add(time.Millisecond - 1).UnixMilli()
}

// inPeriod counts the places that were begun in the period.
func (l *ledger) inPeriod() error {
	var first int64
	counts, err := l.find([]any{&first}, `SELECT serial FROM begun WHERE ledger = ? AND at > ? ORDER BY at, serial LIMIT 1`,
		l.id, l.now.Add(-l.limit.Period).UnixMilli())
	if counts {
		l.begun = int(l.newest - first + 1)
	}
	return err
}

// place gives a machine a place, if there is one or it holds it already.
func (l *openLedger) place(ask store.Ask) (bool, error) {
	var holds int64
	var version string
	has, err := l.find([]any{&holds, &version}, `SELECT ledger, version FROM held WHERE app = ? AND machine = ?`, l.limit.App, ask.Machine)
	if err != nil || has && holds == l.id && version == ask.Version {
		return has, err
	}
	if has {
		if err := l.exec(`DELETE FROM held WHERE app = ? AND machine = ?`, l.limit.App, ask.Machine); err != nil {
			return false, err
		}
		if holds == l.id {
			l.held--
		}
	}
	if l.full() {
		return false, nil
	}
	return true, l.begin(ask)
}

func (l *ledger) full() bool {
	return l.limit.PerPeriod > 0 && l.begun >= l.limit.PerPeriod || l.limit.AtOnce > 0 && l.held >= l.limit.AtOnce
}

// begin begins a place: with the next number, and not before the one before it.
func (l *openLedger) begin(ask store.Ask) error {
	if l.id == 0 {
		if _, err := l.find([]any{&l.id}, `INSERT INTO ledger (app, fleet_group, newest, newest_at, held) VALUES (?, ?, 0, 0, 0) RETURNING id`,
			l.limit.App, l.limit.Group); err != nil {
			return err
		}
	}
	l.newest, l.newestAt = l.newest+1, max(l.newestAt, l.ceiling())
	l.held, l.begun = l.held+1, l.begun+1
	if err := l.exec(`INSERT INTO begun (ledger, serial, at) VALUES (?, ?, ?)`, l.id, l.newest, l.newestAt); err != nil {
		return err
	}
	return l.exec(`INSERT INTO held (app, machine, ledger, version) VALUES (?, ?, ?, ?)`, l.limit.App, ask.Machine, l.id, ask.Version)
}

// again is when enough places of a period that is used up are over for one more: when that one is, after which one less than the limit counts.
func (l *ledger) again() (time.Time, error) {
	if l.limit.PerPeriod <= 0 || l.begun < l.limit.PerPeriod {
		return time.Time{}, nil
	}
	var at int64
	_, err := l.find([]any{&at}, `SELECT at FROM begun WHERE ledger = ? AND serial = ?`, l.id, l.newest-int64(l.limit.PerPeriod)+1)
	return fromMillis(at).Add(l.limit.Period), err
}

func (l *ledger) allowance() (store.Allowance, error) {
	again, err := l.again()
	return store.Allowance{Begun: l.begun, Open: l.held, Again: again}, err
}

// reading finds rows in a transaction that only reads.
type reading struct {
	ctx context.Context
	tx  *sql.Tx
}

func (r reading) find(dest []any, text string, args ...any) (bool, error) {
	return found(r.tx.QueryRowContext(r.ctx, text, args...).Scan(dest...))
}

// Allowance reads what is used of a limit.
func (s *Store) Allowance(ctx context.Context, limit store.Limit, now time.Time) (store.Allowance, error) {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return store.Allowance{}, unavailable(err)
	}
	defer tx.Rollback() // it has only read
	l := &ledger{finder: reading{ctx, tx}, limit: limit, now: now}
	if err := errors.Join(l.read(), l.inPeriod()); err != nil {
		return store.Allowance{}, unavailable(err)
	}
	a, err := l.allowance()
	return a, unavailable(err)
}
