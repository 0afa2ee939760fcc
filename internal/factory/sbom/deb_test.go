package sbom

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// build makes a package with Debian's own tool. Files that end in .gz are compressed; a text "-> x" is a link.
func build(t testing.TB, folder, compression, control string, files map[string]string) string {
	t.Helper()
	tree := t.TempDir()
	files["DEBIAN/control"] = control + "Architecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n"
	for name, text := range files {
		path := filepath.Join(tree, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			check(t, os.Symlink(target, path))
			continue
		}
		if strings.HasSuffix(name, ".gz") {
			text = gzipped(t, text)
		}
		check(t, os.WriteFile(path, []byte(text), 0o644))
	}
	out, err := os.MkdirTemp(folder, "x")
	check(t, err)
	file := filepath.Join(out, "whatever.deb")
	if said, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+compression, "--build", tree, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return file
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	check(t, err)
	check(t, w.Close())
	return b.String()
}

func TestChangelogsOfRealPackages(t *testing.T) {
	folder := t.TempDir()
	log := entry("tool", "1:1.3-1", "CVE-2026-1000")
	build(t, folder, "xz", "Package: tool\nVersion: 1:1.3-1\n", map[string]string{
		"usr/share/doc/tool/changelog.Debian.gz": log, "usr/share/doc/tool/changelog.gz": "upstream's", "usr/share/doc/tool/copyright": "x"})
	build(t, folder, "zstd", "Package: native\nVersion: 7\n", map[string]string{"usr/share/doc/native/changelog.gz": "native's"})
	build(t, folder, "gzip", "Package: plain\nVersion: 7\n", map[string]string{"usr/share/doc/plain/changelog": "plain's"})
	build(t, folder, "none", "Package: libtool1\nVersion: 1:1.3-1+b1\nSource: tool (1:1.3-1)\n", map[string]string{"usr/share/doc/libtool1": "-> tool"})
	build(t, folder, "xz", "Package: libtool2\nVersion: 1:1.3-1\nSource: tool\n", map[string]string{
		"usr/share/doc/libtool2/changelog.Debian.gz": "-> ../libtool1/changelog.Debian.gz"})
	build(t, folder, "xz", "Package: stranger\nVersion: 1\n", map[string]string{"usr/share/doc/stranger": "-> tool"})
	build(t, folder, "xz", "Package: ring\nVersion: 1\n", map[string]string{"usr/share/doc/ring": "-> ring2"})
	build(t, folder, "xz", "Package: ring2\nVersion: 1\nSource: ring\n", map[string]string{"usr/share/doc/ring2": "-> ring"})
	build(t, folder, "xz", "Package: silent\nVersion: 1\n", map[string]string{"usr/bin/silent": "x"})
	debs, err := OpenDebs(folder)
	check(t, err)
	for _, c := range []struct{ pkg, want string }{
		{"tool 1:1.3-1 tool", log}, {"native 7 native", "native's"}, {"plain 7 plain", "plain's"},
		{"libtool1 1:1.3-1+b1 tool", log}, {"libtool2 1:1.3-1 tool", log},
	} {
		text, err := debs.Changelog(packages(c.pkg)[0])
		if err != nil || string(text) != c.want {
			t.Errorf("%s: got %q, %v", c.pkg, text, err)
		}
	}
	for pkg, message := range map[string]string{
		"tool 1:1.4-1 tool": "not in the folder", "stranger 1 stranger": "in tool, which is not", "ring 1 ring": "circle", "silent 1 silent": "has no changelog",
	} {
		if _, err := debs.Changelog(packages(pkg)[0]); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: got %v", pkg, err)
		}
	}
}

func TestDamagedPackagesAreToldAsSuch(t *testing.T) {
	folder := t.TempDir()
	file := build(t, folder, "xz", "Package: tool\nVersion: 1\n", map[string]string{"usr/share/doc/tool/changelog.gz": "text"})
	whole, err := os.ReadFile(file)
	check(t, err)
	read := func(deb []byte) (documents, error) {
		if _, err := readControl(bytes.NewReader(deb)); err != nil {
			return documents{}, err
		}
		return readDocuments(bytes.NewReader(deb), "tool")
	}
	refused := 0
	for length := 0; length < len(whole); length += 3 {
		d, err := read(whole[:length])
		if err != nil {
			refused++
		}
		// What is found before the cut is whole, because it has a checksum of its own.
		if !fault.Is(err, fault.Corrupt) && string(d.native) != "text" {
			t.Fatalf("cut off at %d of %d: %q, %v", length, len(whole), d.native, err)
		}
	}
	if d, err := read(whole); err != nil || string(d.native) != "text" || refused < len(whole)/3/2 {
		t.Errorf("whole: %q, %v; %d cuts refused", d.native, err, refused)
	}
	check(t, os.WriteFile(file, whole[:100], 0o644))
	if _, err := OpenDebs(folder); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "whatever.deb") {
		t.Errorf("open: %v", err)
	}
	if _, err := OpenDebs(t.TempDir()); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestControlFields(t *testing.T) {
	got := parseControl("Package: libtool1\nSource: tool (1:1.3-1)\nVersion: 1:1.3-1+b1\nDescription: x\n Version: 9\n")
	if want := (control{"libtool1", "1:1.3-1+b1", "tool"}); got != want {
		t.Errorf("got %+v", got)
	}
}

func FuzzDeb(f *testing.F) {
	deb, err := os.ReadFile(build(f, f.TempDir(), "gzip", "Package: tool\nVersion: 1\n", map[string]string{"usr/share/doc/tool/changelog.gz": "text"}))
	check(f, err)
	f.Add(deb)
	f.Fuzz(func(t *testing.T, deb []byte) {
		files := 0
		err := walkDeb(bytes.NewReader(deb), "control", func(h *tar.Header, _ io.Reader) (bool, error) {
			files++
			return files > 100, nil
		})
		if err != nil && !fault.Is(err, fault.Corrupt) {
			t.Errorf("error of kind %v: %v", fault.KindOf(err), err)
		}
	})
}

func TestReadSubject(t *testing.T) {
	folder := t.TempDir()
	if _, err := ReadSubject(folder); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty folder: %v", err)
	}
	digest := strings.Repeat("ab", 32)
	r := release.Release{Format: 1, App: "conifer-os", Version: "1.1.0", Arch: "amd64", Created: created,
		Root:     release.Root{Hash: digest, Salt: "00", SizeBytes: 4096},
		Payload:  release.Payload{Name: "full.payload", SizeBytes: 2, SHA256: digest, ManifestSizeBytes: 1, ManifestSHA256: digest},
		Packages: packages("tool 1 tool")}
	text, err := r.Encode()
	check(t, err)
	check(t, os.WriteFile(filepath.Join(folder, "release.json"), text, 0o644))
	s, err := ReadSubject(folder)
	if err != nil || s.Version != "1.1.0" || len(s.Packages) != 1 {
		t.Errorf("release: %+v, %v", s, err)
	}
	for text, ok := range map[string]bool{
		`{"app":"conifer-os","version":"1.2.0","artifacts":[],"packages":[{"name":"a","version":"1","source":"a"}]}`: true,
		`{"app":"conifer-os","version":"1.2.0"}`: false, `{`: false,
	} {
		check(t, os.WriteFile(filepath.Join(folder, "image.json"), []byte(text), 0o644))
		s, err := ReadSubject(folder)
		if ok && (err != nil || s.Version != "1.2.0") || !ok && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v", text, s, err)
		}
	}
}
