package sqlite

import (
	"context"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// pruneRows is how many rows one transaction removes: few enough that a write that waits for it waits for milliseconds.
const pruneRows = 1000

// countedFor is how long a place may count: no period is longer.
const countedFor = 7 * 24 * time.Hour

// Prune forgets what is before the cutoffs, and the places that no period can still count. It returns how many rows went.
func (s *Store) Prune(ctx context.Context, c store.Cutoffs) (int, error) {
	p := &pruner{s: s, ctx: ctx}
	if !c.Events.IsZero() {
		p.log("event_row", millis(c.Events))
	}
	if !c.Activity.IsZero() {
		p.log("activity", millis(c.Activity))
	}
	for step, cutoff := range c.Samples {
		if !cutoff.IsZero() {
			p.all(`DELETE FROM sample WHERE (app, fleet_group, step, at) IN
				(SELECT app, fleet_group, step, at FROM sample WHERE step = ? AND at < ? LIMIT ?)`, step.Milliseconds(), millis(cutoff))
		}
	}
	p.places()
	return p.rows, p.err
}

// pruner removes rows until its first error.
type pruner struct {
	s    *Store
	ctx  context.Context
	rows int
	err  error
}

// some removes rows in one transaction, and returns how many.
func (p *pruner) some(remove func(*transaction) (int64, error)) (count int64) {
	if p.err != nil {
		return 0
	}
	p.err = p.s.write(p.ctx, func(t *transaction) (err error) {
		count, err = remove(t)
		return err
	})
	if p.err != nil {
		return 0
	}
	p.rows += int(count)
	return count
}

// all repeats a removal, whose last argument is how many rows at most, until it finds fewer.
func (p *pruner) all(text string, args ...any) {
	for count := int64(pruneRows); count == pruneRows; {
		count = p.some(func(t *transaction) (int64, error) { return t.count(text, append(args, pruneRows)...) })
	}
}

// log removes what is old from the begin of a log, which is in the order of time but for moments: it goes on until it finds nothing old among as many
// entries as it removes at once. So it reads little more than it removes, and needs no index by time.
func (p *pruner) log(table string, cutoff int64) {
	var after int64 // the entries up to this one are seen to
	for count := int64(1); count > 0; {
		count = p.some(func(t *transaction) (int64, error) {
			var last *int64
			if _, err := t.find([]any{&last}, `SELECT max(number) FROM (SELECT number FROM `+table+` WHERE number > ? ORDER BY number LIMIT ?)`,
				after, pruneRows); err != nil || last == nil {
				return 0, err
			}
			from := after
			after = *last
			return t.count(`DELETE FROM `+table+` WHERE number > ? AND number <= ? AND at < ?`, from, after, cutoff)
		})
	}
}

// places removes the places that no period can count any more when the next one is given, which is not before the newest: so this needs no clock.
// Who holds a place is written elsewhere and stays. CROSS keeps the order of the join, from the few ledgers to the old places of each.
func (p *pruner) places() {
	p.all(`DELETE FROM begun WHERE (ledger, serial) IN
		(SELECT b.ledger, b.serial FROM ledger l CROSS JOIN begun b ON b.ledger = l.id AND b.at < l.newest_at - ? LIMIT ?)`, countedFor.Milliseconds())
}
