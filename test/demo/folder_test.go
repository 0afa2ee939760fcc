package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A run takes away what a run before left, but not what another one works in, nor what is no run's.
func TestFoldersOfRuns(t *testing.T) {
	runs := t.TempDir()
	left, busy, keys := filepath.Join(runs, "20260101-000000"), filepath.Join(runs, "20260102-000000"), filepath.Join(runs, "keys")
	for _, folder := range []string{left, busy, keys} {
		if err := os.MkdirAll(filepath.Join(folder, "disks"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	held, err := claim(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	folder, own, err := newFolder(runs)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	for path, want := range map[string]bool{left: false, busy: true, keys: true, folder: true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", filepath.Base(path), err, want)
		}
	}
	if f, err := claim(folder); err == nil {
		f.Close()
		t.Error("the folder of a run can be taken by another")
	}
}
