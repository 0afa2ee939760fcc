package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database {
		folder := filepath.Join(t.TempDir(), "what a name?#%41")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "conifer.db")
		return storetest.Database{Open: func() storetest.Store { return open(t, path) }}
	})
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPragmasHold(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "conifer.db"))
	defer s.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
		"wal_autocheckpoint": "4096", "journal_size_limit": "67108864", "mmap_size": "0", "cache_size": "-65536"} {
		var got string
		if err := s.writer.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conifer.db")
	s := open(t, path)
	if _, err := s.writer.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), path); !fault.Is(err, fault.Unsupported) {
		t.Errorf("got %v", err)
	}
}
