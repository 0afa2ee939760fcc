package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"conifer.dev/conifer/internal/fault"
)

// packageTree makes a small package tree and a tree that shares its files.
func packageTree(t *testing.T) (from string, made *tree) {
	t.Helper()
	from = filepath.Join(t.TempDir(), "base")
	for name, text := range map[string]string{
		"usr/bin/crun": "crun", "usr/share/doc/x/copyright": "c", "usr/share/keep": "k", "etc/cron.d/a": "a", "var/lib/x": "x",
	} {
		if err := os.MkdirAll(filepath.Join(from, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"bin": "usr/bin", "out": "/etc"} {
		if err := os.Symlink(target, filepath.Join(from, link)); err != nil {
			t.Fatal(err)
		}
	}
	made, err := newTree(filepath.Join(t.TempDir(), "root"), from)
	if err != nil {
		t.Fatal(err)
	}
	return from, made
}

func content(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "-"
	}
	return string(text)
}

func TestOverlayReplacesAddsRemovesAndLinks(t *testing.T) {
	from, made := packageTree(t)
	err := made.lay(fstest.MapFS{
		".remove":         {Data: []byte("# docs\nusr/share/doc\nvar/*\n/etc/cron.?\nusr/none\n")},
		".links":          {Data: []byte("usr/lib/x.wants/a.service ../a.service\n")},
		"bin/crun":        {Data: []byte("#!/bin/sh\nexit 1\n"), Mode: 0o644},
		"etc/cron.d/b":    {Data: []byte("b"), Mode: 0o600},
		"usr/lib/new/one": {Data: []byte("1"), Mode: 0o644},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"usr/bin/crun": "#!/bin/sh\nexit 1\n", "usr/share/keep": "k", "usr/share/doc/x/copyright": "-", "var/lib/x": "-",
		"etc/cron.d/a": "-", "etc/cron.d/b": "b", "usr/lib/new/one": "1", ".remove": "-", ".links": "-",
	} {
		if got := content(t, made.folder, name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if got := content(t, from, "usr/bin/crun") + content(t, from, "etc/cron.d/a"); got != "cruna" {
		t.Errorf("the cached package tree changed: %q", got)
	}
	if target, err := os.Readlink(filepath.Join(made.folder, "usr/lib/x.wants/a.service")); target != "../a.service" {
		t.Errorf("link is %q, %v", target, err)
	}
	for name, want := range map[string]fs.FileMode{"usr/bin/crun": 0o755, "etc/cron.d/b": 0o644} {
		if info, err := os.Stat(filepath.Join(made.folder, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %s is %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestOverlayCannotWriteOutsideTheRoot(t *testing.T) {
	_, made := packageTree(t)
	if err := made.lay(fstest.MapFS{"out/conifer-escape": {Data: []byte("x")}}); err == nil {
		t.Error("a file went through an absolute link to the host")
	}
}

func TestOverlayRefusesALineThatIsNoLink(t *testing.T) {
	_, made := packageTree(t)
	err := made.lay(fstest.MapFS{".links": {Data: []byte("only-one-word\n")}})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestMissingLibrariesAreNamed(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := neededBy(own)
	if err != nil {
		t.Fatal(err)
	}
	present := map[string]bool{"libc.so.6": true}
	err = missing("/r", present, map[string][]string{"/r/usr/bin/nft": {"libc.so.6", "libgmp.so.10"}, "/r/usr/bin/test": libraries})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "usr/bin/nft needs libgmp.so.10") {
		t.Errorf("got %v", err)
	}
	if err := missing("/r", present, map[string][]string{"/r/usr/bin/a": {"libc.so.6"}}); err != nil {
		t.Errorf("a complete tree was refused: %v", err)
	}
}
