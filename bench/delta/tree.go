package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// epoch is the time of every file: what differs between two trees is then what differs between the packages.
const epoch = 1735689600 // 2025-01-01

// merged are the folders that Debian keeps below /usr: without these links, an old package would make a folder in their place.
var merged = []string{"bin", "lib", "lib64", "sbin"}

// unpack makes the tree of the packages in root. No script of a package runs, so nothing is in it that a machine makes for itself.
func unpack(ctx context.Context, root string, packages []string) error {
	for _, name := range merged {
		if err := os.MkdirAll(filepath.Join(root, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	for _, file := range packages {
		if _, err := output(command(ctx, "dpkg-deb", "--extract", file, root)); err != nil {
			return err
		}
	}
	for _, name := range merged {
		if info, err := os.Lstat(filepath.Join(root, name)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return fmt.Errorf("/%s of the tree is no link to /usr/%[1]s any more", name)
		}
	}
	if err := decompressModules(ctx, root); err != nil {
		return err
	}
	return normalize(root)
}

// decompressModules makes plain files of the kernel's modules: a delta cannot see into compressed ones.
func decompressModules(ctx context.Context, root string) error {
	found := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, "usr/lib/modules"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".ko.") {
			found[filepath.Ext(path)] = append(found[filepath.Ext(path)], path)
		}
		return err
	})
	if err != nil {
		return err
	}
	with := map[string][]string{".xz": {"xz", "-d"}, ".zst": {"zstd", "-d", "-q", "--rm"}}
	for ext, files := range found {
		program := with[ext]
		if program == nil {
			return fmt.Errorf("nothing decompresses the kernel module %s", files[0])
		}
		for some := range slices.Chunk(files, 500) {
			if _, err := output(command(ctx, program[0], append(program[1:], some...)...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// normalize gives every file the same time and, where that is possible, the same owner. A change of the owner
// takes the set-user-ID bit away, so the mode is set again.
func normalize(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if os.Geteuid() == 0 {
			if err := os.Lchown(path, 0, 0); err != nil {
				return err
			}
			if d.Type()&fs.ModeSymlink == 0 {
				if err := os.Chmod(path, info.Mode()); err != nil {
					return err
				}
			}
		}
		at := []unix.Timespec{{Sec: epoch}, {Sec: epoch}}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, at, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// imageUUID is that of all images: it differs between real ones, but in a comparison it would only be noise.
const imageUUID = "c0411fe2-de17-4a00-8000-000000000000"

// writeImage writes the tree as erofs, as plain as the images of releases are.
func writeImage(ctx context.Context, root, file string) error {
	_, err := output(command(ctx, "mkfs.erofs", "--quiet", "-T", fmt.Sprint(epoch), "--ignore-mtime", "--all-root",
		"-x", "-1", "-U", imageUUID, file, root))
	return err
}
