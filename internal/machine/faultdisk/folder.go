package faultdisk

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"syscall"

	"conifer.dev/conifer/internal/machine/folder"
)

// Folder is a flat folder on a file system that may be cut. It implements folder.Folder.
type Folder struct {
	power     *Power
	journaled bool
	capacity  int64
	names     map[string]*node
	durable   map[string]*node
	pending   []change
}

// node is a file. Names are kept apart from it.
type node struct {
	current []byte
	durable []byte
	dirty   bool
}

// change gives names to files, or takes them. On FAT each of its parts is kept or lost for itself.
type change []naming

type naming struct {
	name string
	node *node // nil: the name is taken away
	old  *node // of a removal: the file that had the name
}

// NewFAT makes a folder on FAT: until the folder is synced, any part of a creation, a rename or a removal may be missing
// after a cut. A cut rename may leave both names; the check of the file system at the next boot then leaves one
// of them empty, or neither. A cut removal may leave the file whole or empty.
func NewFAT(power *Power, capacityBytes int64) *Folder {
	return newFolder(power, capacityBytes, false)
}

// NewJournaled makes a folder on a file system with a journal: renames are atomic, but the content of a
// file that was not synced may be torn under its new name.
func NewJournaled(power *Power, capacityBytes int64) *Folder {
	return newFolder(power, capacityBytes, true)
}

func newFolder(power *Power, capacity int64, journaled bool) *Folder {
	f := &Folder{power: power, journaled: journaled, capacity: capacity, names: map[string]*node{}, durable: map[string]*node{}}
	power.mu.Lock()
	defer power.mu.Unlock()
	power.parts = append(power.parts, f)
	return f
}

// List gives the files, sorted by name.
func (f *Folder) List() ([]folder.Info, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if f.power.off {
		return nil, ErrOff
	}
	var infos []folder.Info
	for _, name := range slices.Sorted(maps.Keys(f.names)) {
		infos = append(infos, folder.Info{Name: name, SizeBytes: int64(len(f.names[name].current))})
	}
	return infos, nil
}

// Open reads a file.
func (f *Folder) Open(name string) (folder.Content, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if f.power.off {
		return nil, ErrOff
	}
	n := f.names[name]
	if n == nil {
		return nil, notThere("open", name)
	}
	return reading{bytes.NewReader(n.current)}, nil
}

// reading is a file as it was when it was opened.
type reading struct{ *bytes.Reader }

func (reading) Close() error { return nil }

func notThere(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
}

// Create makes or empties a file.
func (f *Folder) Create(name string) (folder.File, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	n := &node{dirty: true}
	if err := f.change(change{{name: name, node: n}}); err != nil {
		return nil, err
	}
	return &file{f, n}, nil
}

// Rename gives a file another name.
func (f *Folder) Rename(from, to string) error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	n := f.names[from]
	if n == nil && !f.power.off {
		return notThere("rename", from)
	}
	return f.change(change{{name: to, node: n}, {name: from}})
}

// Remove removes a file.
func (f *Folder) Remove(name string) error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	n := f.names[name]
	if n == nil && !f.power.off {
		return notThere("remove", name)
	}
	return f.change(change{{name: name, old: n}})
}

func (f *Folder) change(c change) error {
	record, err := f.power.write()
	if !record {
		return err
	}
	f.pending = append(f.pending, c)
	for _, part := range c {
		part.apply(f.names)
	}
	return err
}

func (n naming) apply(names map[string]*node) {
	if n.node == nil {
		delete(names, n.name)
		return
	}
	names[n.name] = n.node
}

// Sync makes all names durable, but no content.
func (f *Folder) Sync() error {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if _, err := f.power.write(); err != nil {
		return err
	}
	f.pending = nil
	f.durable = maps.Clone(f.names)
	return nil
}

// FreeBytes is what the capacity leaves.
func (f *Folder) FreeBytes() (int64, error) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	if f.power.off {
		return 0, ErrOff
	}
	return f.free(), nil
}

func (f *Folder) free() int64 {
	free := f.capacity
	for _, n := range f.names {
		free -= int64(len(n.current))
	}
	return free
}

// file is a file that is being written.
type file struct {
	folder *Folder
	node   *node
}

func (w *file) Write(p []byte) (int, error) {
	power := w.folder.power
	power.mu.Lock()
	defer power.mu.Unlock()
	done := 0
	for done < len(p) {
		page := p[done:min(len(p), done+pageSize)]
		if int64(len(page)) > w.folder.free() {
			return done, &fs.PathError{Op: "write", Path: "file", Err: syscall.ENOSPC}
		}
		record, err := power.write()
		if record {
			w.node.current, w.node.dirty = append(w.node.current, page...), true
		}
		if err != nil {
			return done, err
		}
		done += len(page)
	}
	return done, nil
}

func (w *file) Sync() error {
	power := w.folder.power
	power.mu.Lock()
	defer power.mu.Unlock()
	if _, err := power.write(); err != nil {
		return err
	}
	w.node.durable, w.node.dirty = bytes.Clone(w.node.current), false
	return nil
}

func (w *file) Close() error { return nil }

// Put gives a file durable content, without a write.
func (f *Folder) Put(name string, content []byte) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	n := &node{current: bytes.Clone(content), durable: bytes.Clone(content)}
	f.names[name], f.durable[name] = n, n
}

// Drop removes a file durably, without a write.
func (f *Folder) Drop(name string) {
	f.power.mu.Lock()
	defer f.power.mu.Unlock()
	delete(f.names, name)
	delete(f.durable, name)
}

// Describe lists the files with their sizes, for messages.
func (f *Folder) Describe() string {
	infos, err := f.List()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(infos)
}
