package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// newFolder makes the folder of a run among those of others, which is this process's until the file is closed. What runs before left
// there, because they failed or were interrupted, has gigabytes of disks: it stays to be looked at until the next run, and goes now.
func newFolder(runs string) (string, *os.File, error) {
	old, err := filepath.Glob(filepath.Join(runs, "2*-*"))
	if err != nil {
		return "", nil, err
	}
	for _, folder := range old {
		held, err := claim(folder)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue // another run is at it
		}
		if err != nil {
			return "", nil, err
		}
		if err := errors.Join(os.RemoveAll(folder), held.Close()); err != nil {
			return "", nil, err
		}
	}
	folder := filepath.Join(runs, time.Now().UTC().Format("20060102-150405"))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", nil, err
	}
	held, err := claim(folder)
	return folder, held, err
}

// claim makes a folder this process's until the file is closed.
func claim(folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
