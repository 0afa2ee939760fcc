//go:build slow

package image

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Equal inputs give equal bytes: two builds, each with packages installed anew, are compared file by file. It
// needs root, mmdebstrap and a mirror, and takes a few minutes. A mirror that changes between the two builds is
// another input: both then say so by another date.
func TestTwoBuildsGiveTheSameBytes(t *testing.T) {
	cache, err := Cache(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	initrd := filepath.Join(t.TempDir(), "conifer-initrd")
	build := exec.Command("go", "build", "-trimpath", "-o", initrd, "conifer.dev/conifer/cmd/conifer-initrd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var folders [2]string
	var images [2]Image
	for i := range folders {
		folders[i] = filepath.Join(t.TempDir(), "image")
		images[i], err = Build(t.Context(), Spec{
			Version: "1.0.0", Arch: Arch, Suites: Updated, Out: folders[i], Initrd: initrd, Cache: cache, NoCache: true,
		}, t.Output())
		if err != nil {
			t.Fatal(err)
		}
	}
	if !images[0].Created.Equal(images[1].Created) {
		t.Fatalf("the mirror changed between the builds: %v and %v", images[0].Created, images[1].Created)
	}
	if images[0].Root.Hash != images[1].Root.Hash {
		t.Errorf("first difference in the roots: %s", firstInRoots(t, cache, folders, images[0]))
	}
	for _, name := range fileNames(t, folders[0]) {
		if at := firstDifference(t, filepath.Join(folders[0], name), filepath.Join(folders[1], name)); at >= 0 {
			t.Errorf("%s differs from byte %d on", name, at)
		}
	}
}

func fileNames(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// firstDifference is the offset of the first byte that differs, or -1.
func firstDifference(t *testing.T, left, right string) int64 {
	t.Helper()
	var files [2]*os.File
	for i, name := range []string{left, right} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	var a, b [64 << 10]byte
	for at := int64(0); ; {
		n, errA := io.ReadFull(files[0], a[:])
		m, errB := io.ReadFull(files[1], b[:])
		if !bytes.Equal(a[:n], b[:m]) {
			for i := 0; i < min(n, m); i++ {
				if a[i] != b[i] {
					return at + int64(i)
				}
			}
			return at + int64(min(n, m))
		}
		if errA != nil || errB != nil {
			return -1
		}
		at += int64(n)
	}
}

// firstInRoots unpacks both roots and names the first file that differs; equal files mean that the file system was
// written in another way.
func firstInRoots(t *testing.T, cache string, folders [2]string, image Image) string {
	t.Helper()
	mirrors, err := HostOr("")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Tools(t.Context(), cache, Arch, mirrors, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var roots [2]string
	for i, folder := range folders {
		roots[i] = t.TempDir()
		tools := toolbox{tree: tree, binds: [][2]string{{folder, "/out"}, {roots[i], "/build"}}}
		if _, err := tools.run(t.Context(), "fsck.erofs", "--extract=/build/root", "/out/"+namesOf(image.Version, Arch).root); err != nil {
			t.Fatal(err)
		}
	}
	found := "none in the content of files"
	left := filepath.Join(roots[0], "root")
	err = filepath.WalkDir(left, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(left, path)
		if err != nil {
			return err
		}
		other := filepath.Join(roots[1], "root", rel)
		if _, err := os.Stat(other); err != nil {
			found = rel + ", which only the first root has"
			return fs.SkipAll
		}
		if firstDifference(t, path, other) >= 0 {
			found = rel
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
