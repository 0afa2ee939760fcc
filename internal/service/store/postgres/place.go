package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// used is what is used of a limit at one moment.
type used struct {
	now    int64 // by the database's clock, and never before the group's last place
	serial int64 // of the group's last place
	open   int64
	begun  int64 // in the period
}

// readUsed costs the same for ten places and for a million: the places of a period are those from the first one in it to the last
// one of the group, and their serial numbers have no gaps that young.
const readUsed = `WITH clock AS MATERIALIZED (
		SELECT ` + now + ` AS now
	), l AS MATERIALIZED (
		SELECT greatest(clock.now, max(ledger.last)) AS now, coalesce(max(serial), 0) AS serial, coalesce(max(open), 0) AS open
		FROM clock LEFT JOIN ledger ON app = $1 AND fleet_group = $2 GROUP BY clock.now
	)
	SELECT now, serial, open, serial + 1 - coalesce((
		SELECT p.serial FROM place p WHERE p.app = $1 AND p.fleet_group = $2 AND p.begun > l.now - $3
		ORDER BY p.begun, p.serial LIMIT 1), serial + 1)
	FROM l`

// period is how long a place counts, in milliseconds; without a limit per period none does.
func period(l store.Limit) int64 { return l.Period.Milliseconds() }

// Allowance reads what is used of a limit, by the database's clock.
func (s *Store) Allowance(ctx context.Context, limit store.Limit, _ time.Time) (store.Allowance, error) {
	var a store.Allowance
	err := s.retry(ctx, readWait, func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, s.pool, snapshot, func(tx pgx.Tx) error {
			var u used
			if err := tx.QueryRow(ctx, readUsed, limit.App, limit.Group, period(limit)).Scan(&u.now, &u.serial, &u.open, &u.begun); err != nil {
				return err
			}
			var err error
			a, err = u.allowance(ctx, tx, limit)
			return err
		})
	})
	return a, err
}

// allowance puts what is used into words. When the period is used up, a place comes free when so many of the oldest places are
// over it that one less than the limit is left.
func (u used) allowance(ctx context.Context, tx pgx.Tx, limit store.Limit) (store.Allowance, error) {
	a := store.Allowance{Begun: int(u.begun), Open: int(u.open)}
	if limit.PerPeriod == 0 || a.Begun < limit.PerPeriod {
		return a, nil
	}
	var begun int64
	err := tx.QueryRow(ctx, `SELECT begun FROM place WHERE app = $1 AND fleet_group = $2 AND serial = $3`,
		limit.App, limit.Group, u.serial+1-int64(limit.PerPeriod)).Scan(&begun)
	a.Again = fromMillis(begun + period(limit))
	return a, err
}

// Grant gives places under a limit, in the order of the asks, in one transaction that holds the group's ledger. The time
// is the database's.
func (s *Store) Grant(ctx context.Context, limit store.Limit, asks []store.Ask, _ time.Time) (store.Allowance, error) {
	var a store.Allowance
	err := s.retry(ctx, grantWait, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			g, err := lockedGrant(ctx, tx, limit, asks)
			if err != nil {
				return err
			}
			granted := g.decide(asks)
			if err := g.write(ctx, tx); err != nil {
				return err
			}
			a, err = g.allowance(ctx, tx, limit)
			a.Granted = granted
			return err
		})
	})
	return a, err
}
