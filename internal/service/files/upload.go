package files

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// incoming is where an upload is written until it is whole.
const incoming = ".incoming"

// DigestHeader may hold the sha256 of an upload in hex; one that arrives otherwise is refused.
const DigestHeader = "X-Content-SHA256"

// Put takes an upload: 201 for a new file, 200 when the same bytes were there already. It is durable when it answers.
func (f *Folder) Put(w http.ResponseWriter, r *http.Request) error {
	name, err := clean(r.URL.Path)
	if err != nil {
		return err
	}
	if r.ContentLength > f.maxBytes {
		return tooLarge(name, f.maxBytes)
	}
	body := &receiver{body: http.MaxBytesReader(w, r.Body, f.maxBytes), control: http.NewResponseController(w)}
	aside, digest, err := f.receive(body)
	if err != nil {
		return received(name, f.maxBytes, err)
	}
	defer f.root.Remove(aside) // it is gone already when it was renamed
	if want := strings.ToLower(r.Header.Get(DigestHeader)); want != "" && want != hex.EncodeToString(digest[:]) {
		return fault.New(fault.Corrupt, "upload of %s has sha256 %x, want %s", name, digest, want).WithHint("Upload it again.")
	}
	created, err := f.place(aside, name, digest)
	if err != nil {
		return err
	}
	if created {
		w.WriteHeader(http.StatusCreated)
	}
	return nil
}

func tooLarge(name string, maxBytes int64) error {
	return fault.New(fault.Exhausted, "upload of %s has more than %d bytes", name, maxBytes).
		WithHint("The service's configuration key max_upload_bytes sets the limit.")
}

// received gives a stopped upload its meaning.
func received(name string, maxBytes int64, err error) error {
	if tooMany := (*http.MaxBytesError)(nil); errors.As(err, &tooMany) {
		return tooLarge(name, maxBytes)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.Canceled, "upload of %s stopped: %w", name, err)
	}
	return fmt.Errorf("receive %s: %w", name, err)
}

// receiver gives every chunk of an upload its time.
type receiver struct {
	body    io.Reader
	control *http.ResponseController
}

func (r *receiver) Read(b []byte) (int, error) {
	_ = r.control.SetReadDeadline(time.Now().Add(chunkTime))
	return r.body.Read(b)
}

// receive writes the upload aside, synced, and returns where it is and its digest.
func (f *Folder) receive(body io.Reader) (aside string, digest [sha256.Size]byte, err error) {
	if err := f.root.Mkdir(incoming, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", digest, err
	}
	aside = path.Join(incoming, rand.Text())
	file, err := f.root.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", digest, err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), body)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", digest, errors.Join(err, f.root.Remove(aside))
	}
	return aside, [sha256.Size]byte(hash.Sum(nil)), nil
}

// place moves a whole upload to where it belongs. What is there and may not change must be the same.
func (f *Folder) place(aside, name string, digest [sha256.Size]byte) (created bool, err error) {
	old, err := f.digest(name)
	switch {
	case err == nil && old == digest:
		return false, nil
	case err == nil && !changes(name):
		return false, fault.New(fault.Conflict, "file %s exists already, with other bytes", name).
			WithHint("What machines may have never changes: publish a new version.")
	case err != nil && !os.IsNotExist(err):
		return false, fault.New(fault.Conflict, "%s is not a file: %w", name, err)
	}
	if err := f.makeFolders(path.Dir(name)); err != nil {
		return false, err
	}
	if err := f.root.Rename(aside, name); err != nil {
		return false, fault.New(fault.Conflict, "place %s: %w", name, err)
	}
	if info, err := f.root.Stat(name); err == nil {
		f.digests.remember(name, info, digest)
	}
	return true, f.sync(path.Dir(name))
}

func (f *Folder) digest(name string) (sum [sha256.Size]byte, err error) {
	file, err := f.root.Open(name)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return sum, err
	}
	return f.digests.of(name, file, info)
}

// makeFolders makes a folder and those above it, each entry synced in its parent.
func (f *Folder) makeFolders(folder string) error {
	if folder == "." {
		return nil
	}
	if err := f.makeFolders(path.Dir(folder)); err != nil {
		return err
	}
	err := f.root.Mkdir(folder, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fault.New(fault.Conflict, "make folder %s: %w", folder, err)
	}
	return f.sync(path.Dir(folder))
}

func (f *Folder) sync(folder string) error {
	opened, err := f.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
