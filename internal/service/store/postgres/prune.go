package postgres

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// How long what other replicas need, and what a period may still count, is kept by the database's clock.
const (
	feedKept   = time.Hour
	placesKept = 7 * 24 * time.Hour
)

// pruneStep is how many rows go in one transaction, so that nobody waits long for their locks.
const pruneStep = 2000

// Prune forgets what is before the cutoffs in logs and time series, closed places that no period can still count and
// feed entries that are an hour old, and returns how many rows went. Replicas may prune at once.
func (s *Store) Prune(ctx context.Context, c store.Cutoffs) (int, error) {
	p := &pruning{store: s}
	p.before(ctx, "event", c.Events)
	p.before(ctx, "activity", c.Activity)
	for step, cutoff := range c.Samples {
		if !cutoff.IsZero() {
			p.rows(ctx, "sample", "step = $2 AND at < $3", step.Milliseconds(), millis(cutoff))
		}
	}
	p.rows(ctx, "place", "ended > 0 AND begun < "+now+" - $2", placesKept.Milliseconds())
	// The last entry stays: its number is where the next one's comes from.
	p.rows(ctx, "feed", "at < "+now+" - $2 AND number < (SELECT max(number) FROM feed)", feedKept.Milliseconds())
	return p.gone, p.err
}

// pruning counts what went, until something goes wrong.
type pruning struct {
	store *Store
	gone  int
	err   error
}

func (p *pruning) before(ctx context.Context, table string, cutoff time.Time) {
	if !cutoff.IsZero() {
		p.rows(ctx, table, "at < $2", millis(cutoff))
	}
}

// rows removes the rows of a table for which the condition holds, whose first argument is $2. What another replica is about to
// remove is left to it.
func (p *pruning) rows(ctx context.Context, table, condition string, args ...any) {
	query := `DELETE FROM ` + table + ` WHERE ctid = ANY (ARRAY(SELECT ctid FROM ` + table + ` WHERE ` + condition + ` LIMIT $1 FOR UPDATE SKIP LOCKED))`
	for p.err == nil {
		n := p.step(ctx, query, append([]any{pruneStep}, args...))
		p.gone += n
		if n < pruneStep {
			return
		}
	}
}

func (p *pruning) step(ctx context.Context, query string, args []any) int {
	ctx, cancel := context.WithTimeout(ctx, applyWait)
	defer cancel()
	tag, err := p.store.pool.Exec(ctx, query, args...)
	p.err = p.store.errors.unavailable(err)
	return int(tag.RowsAffected())
}
