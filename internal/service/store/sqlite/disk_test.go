package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

func opened(t *testing.T) *Store {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "conifer.db"))
	t.Cleanup(func() { s.Close() })
	return s
}

func applied(t *testing.T, s *Store, changes ...store.Change) {
	t.Helper()
	if err := s.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
}

// pragma sets something on the connection that writes.
func pragma(t *testing.T, s *Store, text string) {
	t.Helper()
	if err := s.session.exec("PRAGMA " + text); err != nil {
		t.Fatal(err)
	}
}

// TestDiskIsFull lets the disk be full for a while. In it nothing can be written, what was is read, and afterwards all goes on.
func TestDiskIsFull(t *testing.T) {
	s := opened(t)
	applied(t, s, puts(0, 10)...)
	before := sorted(loaded(t, s))
	pragma(t, s, "max_page_count = 1") // it has more already, and gets none any more
	for range 2 {
		refusedAll(t, s)
		if diff := cmp.Diff(before, sorted(loaded(t, s))); diff != "" {
			t.Error(diff)
		}
	}
	pragma(t, s, "max_page_count = 1000000")
	takesAll(t, s)
	whole(t, s)
}

// TestDiskIsReadOnly makes the connection one that cannot write. Another takes its place.
func TestDiskIsReadOnly(t *testing.T) {
	s := opened(t)
	applied(t, s, puts(0, 10)...)
	pragma(t, s, "query_only = 1")
	if err := s.Apply(t.Context(), puts(10, many)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	takesAll(t, s)
}

var limit = store.Limit{App: "a", Group: "g", PerPeriod: 100_000, Period: time.Hour}

// many is enough to need pages that the file does not have yet.
const many = 2000

func asks(count int) []store.Ask {
	all := make([]store.Ask, count)
	for i := range all {
		all[i] = store.Ask{Machine: fmt.Sprint("machine ", i), Version: "1.1.0"}
	}
	return all
}

func refusedAll(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Apply(t.Context(), puts(10, many)); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
		t.Errorf("a change: %v", err)
	}
	if _, err := s.Grant(t.Context(), limit, asks(many), time.Now()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("places: %v", err)
	}
	if a, err := s.Allowance(t.Context(), limit, time.Now()); err != nil || a.Begun != 0 {
		t.Errorf("places that were refused are taken: %+v, %v", a, err)
	}
}

func takesAll(t *testing.T, s *Store) {
	t.Helper()
	applied(t, s, puts(10, many)...)
	if got := len(loaded(t, s)); got != 10+many {
		t.Errorf("there are %d machines, want %d", got, 10+many)
	}
	if a, err := s.Grant(t.Context(), limit, asks(many), time.Now()); err != nil || a.Begun != many {
		t.Errorf("places: %+v, %v", a, err)
	}
}

// TestConnectionIsReplaced ends a transaction as SQLite does by itself after some errors of a disk.
func TestConnectionIsReplaced(t *testing.T) {
	s := opened(t)
	applied(t, s, puts(0, 10)...)
	first := s.session
	err := s.write(t.Context(), func(tx *transaction) error {
		if err := tx.apply(puts(10, 10)); err != nil {
			return err
		}
		return tx.exec("ROLLBACK")
	})
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	if got := len(loaded(t, s)); got != 10 {
		t.Errorf("there are %d machines, want 10", got)
	}
	takesAll(t, s)
	if s.session == first {
		t.Error("the connection is still the same")
	}
}

// TestPanicLeavesNoTransaction: a change that is not known is a fault of the program, and must not stop all others for good.
func TestPanicLeavesNoTransaction(t *testing.T) {
	s := opened(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("an unknown change was taken")
			}
		}()
		s.Apply(t.Context(), []store.Change{puts(0, 1)[0], nil}) // panics
	}()
	applied(t, s, puts(0, 10)...)
	takesAll(t, s)
}

// TestHints: a full disk and a broken reference need different hands.
func TestHints(t *testing.T) {
	s := opened(t)
	err := s.Apply(t.Context(), []store.Change{store.PutGroup{Group: store.Group{App: "a", Name: "g", Channel: "nowhere"}}})
	if hint := fault.HintOf(err); !strings.Contains(hint, "refers") {
		t.Errorf("a group that follows no channel: %s", hint)
	}
	applied(t, s, puts(0, 10)...)
	pragma(t, s, "max_page_count = 1")
	if hint := fault.HintOf(s.Apply(t.Context(), puts(10, many))); !strings.Contains(hint, "disk") {
		t.Errorf("a full disk: %s", hint)
	}
}
