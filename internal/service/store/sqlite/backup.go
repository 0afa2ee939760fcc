package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"conifer.dev/conifer/internal/fault"
)

// Backup writes a copy of the database to path, whole and as it is at one moment, while the service goes on writing. The
// copy is a database of its own: to restore it, it is put in the place of the file that is lost. It is written aside and
// renamed, so that path is never half of one, and an older backup there is replaced at once.
func (s *Store) Backup(ctx context.Context, path string) error {
	if same(s.path, path) {
		return fault.New(fault.Invalid, "%s is the database itself", path).WithHint("Give another file to write the backup to.")
	}
	aside := path + ".part"
	if err := s.copy(ctx, aside); err != nil {
		return errors.Join(fmt.Errorf("back up to %s: %w", path, err), removed(aside))
	}
	if err := os.Rename(aside, path); err != nil {
		return errors.Join(err, removed(aside))
	}
	return synced(filepath.Dir(path))
}

// copy writes the copy for nobody but us to read: it has the digests of tokens in it.
func (s *Store) copy(ctx context.Context, path string) error {
	if err := removed(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if _, err := s.reader.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return unavailable(err)
	}
	return synced(path)
}

func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// removed removes a file that may be there.
func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// synced waits until a file or folder is on the disk.
func synced(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
