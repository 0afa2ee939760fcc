package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
)

// WriteFile writes r to a file that appears at path only when it is whole and durable.
func WriteFile(path string, r io.Reader) (sizeBytes int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if sizeBytes, err = io.Copy(f, r); err != nil {
		return 0, err
	}
	if err := f.Chmod(0o644); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	return sizeBytes, SyncFolder(filepath.Dir(path))
}

// SyncFolder makes renames in a folder durable.
func SyncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// linkAndDigest links from to to, copying between file systems, and returns the SHA-256 of what is there.
func linkAndDigest(ctx context.Context, from, to string, count func(int64)) (string, error) {
	if err := Link(from, to); err != nil {
		return "", err
	}
	return Digest(ctx, to, count)
}

// Link makes to the same file as from, or a copy of it when they are on two file systems.
func Link(from, to string) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = WriteFile(to, f)
	return err
}

// Digest returns the SHA-256 of a file in hex.
func Digest(ctx context.Context, path string, count func(int64)) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum, buf := sha256.New(), make([]byte, 1<<20)
	for {
		n, err := f.Read(buf)
		sum.Write(buf[:n])
		count(int64(n))
		if err == io.EOF {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", err
		}
	}
}
