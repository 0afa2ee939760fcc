package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"conifer.dev/conifer/internal/fault"
)

// lock makes this process the only service on a data folder, until it closes the file or ends: what a service has in memory
// is right only while nobody else changes the database.
func lock(data string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(data, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fault.New(fault.Busy, "another conifer-server works on %s", data).WithHint("Stop it, or give this one another --data.")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
