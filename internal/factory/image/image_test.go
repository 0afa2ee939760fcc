package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	osdef "conifer.dev/conifer/os"
)

func TestDescriptionRoundTrip(t *testing.T) {
	want := &Image{
		App: App, Version: "1.1.0", Arch: Arch, Created: time.Unix(1_700_000_000, 0).UTC(),
		Root:      release.Root{Hash: "ab", Salt: "00", SizeBytes: 4096},
		Artifacts: []release.Artifact{{Name: "conifer_1.1.0.efi", Kind: release.KindUKI, SizeBytes: 1, SHA256: "cd"}},
		Packages:  []release.Package{{Name: "systemd", Version: "257", Source: "systemd"}},
	}
	folder := t.TempDir()
	if err := want.write(folder); err != nil {
		t.Fatal(err)
	}
	got, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(folder, FileName), []byte(`{"app":"other","version":"1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(folder); !fault.Is(err, fault.Invalid) {
		t.Errorf("the description of another application gave %v", err)
	}
}

func TestInstalledPackages(t *testing.T) {
	got := installed(`Package: zlib1g
Status: install ok installed
Source: zlib (1:1.3)
Version: 1:1.3+b1
Conffiles:
 /etc/x abc

Package: gone
Status: deinstall ok config-files
Version: 1

Package: bash
Status: install ok installed
Version: 5.2
`)
	want := []release.Package{{Name: "bash", Version: "5.2", Source: "bash"}, {Name: "zlib1g", Version: "1:1.3+b1", Source: "zlib"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPackagesWithoutAFileLeftAreNotInTheImage(t *testing.T) {
	database, root := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(database, "info/perl-base.list"), "/.\n/usr\n/usr/bin\n/usr/bin/perl\n")
	write(filepath.Join(database, "info/libc6:amd64.list"), "/usr/lib\n/lib/libc.so.6\n")
	write(filepath.Join(root, "usr/lib/libc.so.6"), "")
	write(filepath.Join(root, "usr/bin/other"), "")
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil {
		t.Fatal(err)
	}
	kept, err := remaining([]release.Package{{Name: "libc6"}, {Name: "perl-base"}}, database, root, Arch)
	if err != nil || len(kept) != 1 || kept[0].Name != "libc6" {
		t.Errorf("kept %v, %v, want libc6", kept, err)
	}
}

func TestUUIDOfAPartitionIsHalfTheRootHash(t *testing.T) {
	hash, err := rootHash("VERITY header information\nRoot hash:      \t" +
		"8a000d80600602a5d3044ba9ab5382d7354ab6dc10e4660d641d9178f195b4ac\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := uuidText(hash[:16]); got != "8a000d80-6006-02a5-d304-4ba9ab5382d7" {
		t.Errorf("root partition has %s", got)
	}
	if got := uuidText(hash[16:]); got != "354ab6dc-10e4-660d-641d-9178f195b4ac" {
		t.Errorf("verity partition has %s", got)
	}
	if _, err := rootHash("Root hash: abcd\n"); err == nil {
		t.Error("a short root hash was taken")
	}
}

func TestDerivedUUIDsAreStableAndDiffer(t *testing.T) {
	one := derivedUUID("erofs", "1.0.0")
	if one != derivedUUID("erofs", "1.0.0") || one == derivedUUID("erofs", "1.0.1") || one == derivedUUID("disk", "1.0.0") {
		t.Error("UUIDs do not follow from purpose and version")
	}
	if one[14] != '8' || !strings.ContainsRune("89ab", rune(one[19])) {
		t.Errorf("%s is not of RFC 9562, version 8", one)
	}
}

func TestSpecIsChecked(t *testing.T) {
	good := Spec{Version: "1.0.0", Arch: "arm64", Suites: Released, Out: filepath.Join(t.TempDir(), "new"), Initrd: os.Args[0]}
	for name, change := range map[string]func(*Spec){
		"version": func(s *Spec) { s.Version = "latest" },
		"arch":    func(s *Spec) { s.Arch = "m68k" },
		"suites":  func(s *Spec) { s.Suites = "sid" },
		"initrd":  func(s *Spec) { s.Initrd = "" },
		"overlay": func(s *Spec) { s.Overlays = []string{"/does/not/exist"} },
		"out":     func(s *Spec) { s.Out = t.TempDir() },
	} {
		bad := good
		change(&bad)
		if bad.check() == nil {
			t.Errorf("a wrong %s was accepted", name)
		}
	}
}

// Every link of the definition points at a unit that is in the definition or that Debian's packages have; what can
// be checked here is that the own ones exist.
func TestDefinitionIsConsistent(t *testing.T) {
	text, err := fs.ReadFile(osdef.Files, "root/.links")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			t.Errorf("line %q of .links is not a path and a target", line)
			continue
		}
		unit := filepath.Base(fields[1])
		if !strings.HasPrefix(unit, "conifer-") && !strings.HasPrefix(unit, "efi.") {
			continue
		}
		if _, err := fs.Stat(osdef.Files, "root/usr/lib/systemd/system/"+unit); err != nil {
			t.Errorf("link to %s, which the definition does not have", unit)
		}
	}
	for _, name := range []string{"mkosi.conf", "mkosi.finalize", "cmdline", "loader.conf"} {
		if _, err := fs.Stat(osdef.Files, name); err != nil {
			t.Error(err)
		}
	}
}
