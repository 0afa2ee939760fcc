package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// sameFile fails unless both files have the same bytes.
func sameFile(got, want string) error {
	a, err := os.Open(got)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Open(want)
	if err != nil {
		return err
	}
	defer b.Close()
	x, y := make([]byte, 1<<18), make([]byte, 1<<18)
	for at := int64(0); ; {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("%s differs from %s behind byte %d", got, want, at)
		}
		at += int64(n)
		if ended(errA) && ended(errB) {
			return nil
		}
		if err := errors.Join(unlessEnd(errA), unlessEnd(errB)); err != nil {
			return err
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

func unlessEnd(err error) error {
	if ended(err) {
		return nil
	}
	return err
}

// modeBits are those of a file that a tree carries: its type, its permissions, and the set-ID and sticky bits.
const modeBits = fs.ModeType | fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky

// sameTree fails unless both folders have the same names, with the same kinds, permissions and bytes.
func sameTree(got, want string) error {
	names := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		names++
		name, err := filepath.Rel(want, path)
		if err != nil {
			return err
		}
		return sameEntry(filepath.Join(got, name), path)
	})
	if err != nil {
		return err
	}
	err = filepath.WalkDir(got, func(_ string, _ fs.DirEntry, err error) error { names--; return err })
	if err == nil && names != 0 {
		err = fmt.Errorf("%s has %d names more than %s", got, -names, want)
	}
	return err
}

func sameEntry(got, want string) error {
	a, err := os.Lstat(got)
	if err != nil {
		return err
	}
	b, err := os.Lstat(want)
	if err != nil {
		return err
	}
	if a.Mode()&modeBits != b.Mode()&modeBits {
		return fmt.Errorf("%s has mode %s, want %s", got, a.Mode(), b.Mode())
	}
	switch {
	case b.Mode().IsRegular():
		return sameFile(got, want)
	case b.Mode()&fs.ModeSymlink != 0:
		x, errA := os.Readlink(got)
		y, errB := os.Readlink(want)
		if x != y {
			return fmt.Errorf("%s points at %s, want %s", got, x, y)
		}
		return errors.Join(errA, errB)
	}
	return nil
}
