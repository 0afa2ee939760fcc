package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// TestBackup copies the database while pairs of machines are written to it. Each copy has those that were there before, and whole pairs.
func TestBackup(t *testing.T) {
	s := opened(t)
	path := filepath.Join(t.TempDir(), "a 'copy'.db")
	for n := 1; n <= 3; n++ { // each replaces the one before
		before := len(loaded(t, s))
		stop := writePairs(t, s, n<<20)
		err := s.Backup(t.Context(), path)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its mode is %v (%v)", info.Mode(), err)
		}
		compareCopy(t, path, before, len(loaded(t, s)))
	}
}

// writePairs writes pairs of machines until it is stopped, and at least one.
func writePairs(t *testing.T, s *Store, first int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n += 2 {
			if err := s.Apply(t.Context(), puts(first+n, 2)); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	return func() { close(end); <-ended }
}

func compareCopy(t *testing.T, path string, least, most int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "restored.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	restored := open(t, file)
	defer restored.Close()
	whole(t, restored)
	if got := len(loaded(t, restored)); got < least || got > most || got%2 != 0 {
		t.Errorf("the copy has %d machines, and there were %d before it and %d after", got, least, most)
	}
	applied(t, restored, store.PutApp{App: store.App{ID: "a", Name: "a"}})
}

func TestBackupLeavesNothingHalf(t *testing.T) {
	s := opened(t)
	applied(t, s, puts(0, 10)...)
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if s.Backup(t.Context(), taken) == nil || s.Backup(t.Context(), filepath.Join(folder, "missing", "copy.db")) == nil {
		t.Error("a backup was written where none can be")
	}
	if err := s.Backup(t.Context(), s.path); !fault.Is(err, fault.Invalid) {
		t.Errorf("a backup over the database itself: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left: %v (%v)", left, err)
	}
	if got := len(loaded(t, s)); got != 10 {
		t.Errorf("there are %d machines, want 10", got)
	}
}
