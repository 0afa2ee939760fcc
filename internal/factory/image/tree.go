package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"conifer.dev/conifer/internal/fault"
)

// Files with these names at the top of an overlay are instructions.
const (
	removeFile = ".remove" // paths or patterns to take away before the overlay's files come
	linksFile  = ".links"  // "path target" of symbolic links, for overlays that cannot hold any
)

// tree is a root that is being put together. All that it writes stays below its folder, whatever links are in there.
// Its files may be hard links into the cache, so a file is only ever replaced, never changed.
type tree struct {
	folder string
	root   *os.Root
}

// newTree makes folder with the same content as the folder from, sharing its files.
func newTree(folder, from string) (*tree, error) {
	if err := shareTree(folder, from); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &tree{folder, root}, nil
}

func shareTree(to, from string) error {
	return filepath.WalkDir(from, func(source string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, source)
		if err != nil {
			return err
		}
		return shareEntry(filepath.Join(to, rel), source, entry)
	})
}

func shareEntry(target, source string, entry fs.DirEntry) error {
	if !entry.IsDir() {
		return os.Link(source, target) // link(2) does not follow symbolic links
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if err := os.Mkdir(target, 0o700); err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(target, int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	return os.Chmod(target, info.Mode())
}

// lay puts an overlay into the tree: first it takes away, then it adds. Everything it adds belongs to root.
func (t *tree) lay(overlay fs.FS) error {
	if err := t.eachInstruction(overlay, removeFile, t.remove); err != nil {
		return err
	}
	err := fs.WalkDir(overlay, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." || name == removeFile || name == linksFile {
			return err
		}
		return t.add(overlay, name, entry)
	})
	if err != nil {
		return err
	}
	return t.eachInstruction(overlay, linksFile, func(line string) error {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return fault.New(fault.Invalid, "line %q of %s is not a path and a target", line, linksFile)
		}
		return t.link(fields[0], fields[1])
	})
}

func (t *tree) eachInstruction(overlay fs.FS, file string, do func(string) error) error {
	text, err := fs.ReadFile(overlay, file)
	if err != nil {
		return nil // An overlay need not have the file.
	}
	for _, line := range lines(string(text)) {
		if err := do(line); err != nil {
			return fmt.Errorf("%s, line %q: %w", file, line, err)
		}
	}
	return nil
}

// remove takes away all paths that match pattern. Matching none is no error: Debian's packages change.
func (t *tree) remove(pattern string) error {
	found, err := fs.Glob(t.root.FS(), strings.Trim(pattern, "/"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	for _, name := range found {
		if err := t.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) add(overlay fs.FS, name string, entry fs.DirEntry) error {
	switch {
	case entry.IsDir():
		return t.root.MkdirAll(name, 0o755)
	case entry.Type() == fs.ModeSymlink:
		target, err := fs.ReadLink(overlay, name)
		if err != nil {
			return err
		}
		return t.link(name, target)
	case entry.Type().IsRegular():
		text, err := fs.ReadFile(overlay, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return t.write(name, text, modeOf(info.Mode(), text))
	}
	return fault.New(fault.Invalid, "overlay holds %s, which is neither file, folder nor link", name)
}

// modeOf is the mode of an overlay's file: what runs is executable, whatever a copy of the overlay lost, and nothing is
// writable for others.
func modeOf(mode fs.FileMode, text []byte) fs.FileMode {
	if mode&0o111 != 0 || bytes.HasPrefix(text, []byte("#!")) {
		return 0o755
	}
	return 0o644
}

// write replaces a file.
func (t *tree) write(name string, text []byte, mode fs.FileMode) error {
	if err := t.clear(name); err != nil {
		return err
	}
	if err := t.root.WriteFile(name, text, mode); err != nil {
		return err
	}
	return t.root.Chmod(name, mode) // whatever the umask
}

func (t *tree) link(name, target string) error {
	if err := t.clear(name); err != nil {
		return err
	}
	return t.root.Symlink(target, name)
}

// clear makes room for a file.
func (t *tree) clear(name string) error {
	if err := t.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	err := t.root.Remove(name)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
