// Package storetest is the contract of a store as tests: whatever database the service writes to must pass [Run].
//
// It asks for what the service relies on: that applied changes are found again after the database was closed and
// opened, that a batch is made whole or not at all, that the logs are read from their newest end, and that places under
// a limit are counted exactly whoever asks at the same time. It does not look at how a store does it.
package storetest

import (
	"context"
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/store"
)

// Store is what is tested. All errors of a database that does not answer or does not take a change are of kind
// fault.Unavailable. Times come back in UTC, to the millisecond.
type Store interface {
	// Load yields every record as the change that makes it, applications first, then what refers to them. Places are not
	// yielded: Machine.Granted says who holds one, also when the machine's record was not written since it was given. yield is
	// called by one goroutine at a time.
	Load(ctx context.Context, yield func(store.Change) error) error
	// Apply makes all changes or none, in their order. They are durable when it returns. It refuses a group that follows no
	// channel, a channel that points at no release, and the removal of what these refer to.
	Apply(ctx context.Context, changes []store.Change) error
	// Grant gives places under a limit, in the order of the asks, as long as there are any, in one transaction. Who holds a
	// place for the version has it again, uncounted; one for another version, or in another group, is given back first, also when
	// there is no new one. A place counts for as long as its period: not any more when exactly that has passed. A store that several
	// replicas share measures time by its own clock instead of now. What it gives is durable when it returns.
	Grant(ctx context.Context, limit store.Limit, asks []store.Ask, now time.Time) (store.Allowance, error)
	// Allowance reads what is used of a limit.
	Allowance(ctx context.Context, limit store.Limit, now time.Time) (store.Allowance, error)
	// Follow yields what other replicas applied, in the order of their commits, each batch once, until ctx ends. A store that
	// nobody shares yields nothing.
	Follow(ctx context.Context, yield func([]store.Change) error) error
	// Events reads a machine's events, the newest first; with machine "" those of all machines of the application.
	Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error)
	// Activity reads the log of what was done, the newest first.
	Activity(ctx context.Context, limit int) ([]store.Activity, error)
	// Samples reads a group's time series from since on, the oldest first. A sample of the same moment replaces the one before.
	Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) ([]store.Sample, error)
	// Downloads reads what AddDownloads added up, of one group or with group "" of all, by group, architecture and version.
	Downloads(ctx context.Context, app, group string) ([]store.Downloads, error)
	// Prune forgets what is before the cutoffs in logs, time series and the ledger of places (closed ones that no period can still
	// count: older than a week). It works in small transactions and returns how many rows went.
	Prune(ctx context.Context, c store.Cutoffs) (int, error)
	// Machines reads the machines with these ids; one that is not there is left out.
	Machines(ctx context.Context, app string, ids []string) ([]store.Machine, error)
	Close() error
}

// Database is one database, empty at first.
type Database struct {
	Open func() Store // the same database each time
	// Pass lets time pass for a store that has a clock of its own; nil where it is the now of each call.
	Pass func(time.Duration)
}

// Run tests a kind of store. database makes an empty one for each test.
func Run(t *testing.T, database func(t *testing.T) Database) {
	for _, suite := range []map[string]func(*testing.T, Database){records, logs, downloads, pruning, places} {
		for name, test := range suite {
			t.Run(name, func(t *testing.T) { test(t, database(t)) })
		}
	}
}

// noon is a time to the millisecond, which is what stores keep.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 123e6, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, s Store, changes ...store.Change) {
	t.Helper()
	must(t, s.Apply(t.Context(), changes))
}

// opened opens the database for the length of the test.
func opened(t *testing.T, d Database) Store {
	t.Helper()
	s := d.Open()
	t.Cleanup(func() { s.Close() })
	return s
}

// filled is opened with all of the sample in it.
func filled(t *testing.T, d Database) Store {
	t.Helper()
	s := opened(t, d)
	apply(t, s, append(whole(), bare()...)...)
	return s
}

// loaded is everything that a store yields, in its order.
func loaded(t *testing.T, s Store) []store.Change {
	t.Helper()
	var all []store.Change
	must(t, s.Load(t.Context(), func(c store.Change) error {
		all = append(all, c)
		return nil
	}))
	return all
}

// texts are the changes in an order that does not depend on the store's. Printed, a token shows its digest and a list that
// is empty is like none.
func texts(changes []store.Change) []string {
	var lines []string
	for _, c := range changes {
		lines = append(lines, fmt.Sprintf("%T %+v", c, c))
	}
	sort.Strings(lines)
	return lines
}

func expect(t *testing.T, s Store, want ...store.Change) {
	t.Helper()
	if diff := cmp.Diff(texts(want), texts(loaded(t, s))); diff != "" {
		t.Error(diff)
	}
}
