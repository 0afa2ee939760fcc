package pack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// releaseOf makes a release folder of a version, with deltas from the folders olds.
func releaseOf(t *testing.T, version string, olds ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := imagetest.Write(filepath.Join(dir, "image"), version); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, version)
	if _, err := CreateRelease(t.Context(), filepath.Join(dir, "image"), out, olds, created, fast, quiet); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkSums compares every file that SHA256SUMS names, and returns how many there are.
func checkSums(t *testing.T, dir string) int {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(dir, SumsFileName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fileDigest(t, filepath.Join(dir, name)); got != sum {
			t.Errorf("%s: digest %s, SHA256SUMS says %s", name, got, sum)
		}
	}
	return strings.Count(string(sums), "\n")
}

// froms lists what the deltas of a folder are from.
func froms(t *testing.T, dir string) []string {
	t.Helper()
	r, _, err := ReadRelease(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := ReadDeltas(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	versions := []string{}
	for _, d := range list.Deltas {
		versions = append(versions, d.From)
	}
	return versions
}

func TestAReleaseCarriesDeltas(t *testing.T) {
	one, two := releaseOf(t, "1.0.0"), releaseOf(t, "1.1.0")
	dir := releaseOf(t, "1.2.0", two, one, two)
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, froms(t, dir)); diff != "" {
		t.Fatal(diff)
	}
	r, _, err := ReadRelease(dir)
	if err != nil {
		t.Fatal(err)
	}
	for from, folder := range map[string]string{"1.0.0": one, "1.1.0": two} {
		list, err := ReadDeltas(dir, r)
		if err != nil {
			t.Fatal(err)
		}
		d, err := list.From(from)
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(filepath.Join(dir, "from-"+from+".payload"))
		if err != nil {
			t.Fatal(err)
		}
		if digest(file) != d.SHA256 {
			t.Errorf("the delta from %s has digest %s, want %s", from, digest(file), d.SHA256)
		}
		if _, err := payload.ParseSignedDelta(r, d, file[:d.ManifestSizeBytes]); err != nil {
			t.Error(err)
		}
		old, err := OpenSubject(folder)
		if err != nil {
			t.Fatal(err)
		}
		root, err := r.Artifact(release.KindRoot)
		if err != nil || applied(t, filepath.Join(dir, d.Name), old.Sources)["root"] != root.SHA256 {
			t.Errorf("the delta from %s makes another root (%v)", from, err)
		}
	}
	if n := checkSums(t, dir); n != 9 {
		t.Errorf("SHA256SUMS has %d lines, want 9", n)
	}
}

// A release without deltas is what it was before there were any.
func TestAReleaseWithoutDeltasHasNoList(t *testing.T) {
	dir := releaseOf(t, "1.0.0")
	if _, err := os.Stat(filepath.Join(dir, release.DeltasName)); !os.IsNotExist(err) {
		t.Errorf("there is a list: %v", err)
	}
	if len(froms(t, dir)) != 0 {
		t.Errorf("it has deltas from %v", froms(t, dir))
	}
}

func TestDeltasAreAddedLater(t *testing.T) {
	one, two := releaseOf(t, "1.0.0"), releaseOf(t, "1.1.0")
	dir := releaseOf(t, "1.2.0", two)
	kept, err := os.Stat(filepath.Join(dir, "from-1.1.0.payload"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AddDeltas(t.Context(), dir, []string{one, two}, fast, quiet); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, froms(t, dir)); diff != "" {
		t.Error(diff)
	}
	if n := checkSums(t, dir); n != 9 {
		t.Errorf("SHA256SUMS has %d lines, want 9", n)
	}
	if now, err := os.Stat(filepath.Join(dir, "from-1.1.0.payload")); err != nil || !os.SameFile(now, kept) {
		t.Errorf("the delta that was there was made again (%v)", err)
	}
}

// A delta that would cost machines more than the full payload is not kept.
func TestADeltaThatSavesNothingIsNotKept(t *testing.T) {
	dir, old := releaseOf(t, "1.1.0"), releaseOf(t, "1.0.0")
	r, _, err := ReadRelease(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Payload.SizeBytes = r.Payload.ManifestSizeBytes
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, release.FileName, text)
	list, err := AddDeltas(t.Context(), dir, []string{old}, fast, quiet)
	if err != nil || len(list.Deltas) != 0 {
		t.Errorf("kept %+v, %v", list, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*1.0.0*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAddDeltasRefuses(t *testing.T) {
	dir, good := releaseOf(t, "1.2.0"), releaseOf(t, "1.0.0")
	damaged := releaseOf(t, "1.1.0")
	root, err := filepath.Glob(filepath.Join(damaged, "*.root-amd64.raw"))
	if err != nil || len(root) != 1 {
		t.Fatalf("the root is one of %q (%v)", root, err)
	}
	if err := os.Truncate(root[0], 4096); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, old string
		kind      fault.Kind
		message   string
	}{
		{"itself", dir, fault.Invalid, "serves no machine"},
		{"no release", t.TempDir(), fault.NotFound, "no release folder"},
		{"a release whose root is damaged", damaged, fault.Corrupt, "root-amd64.raw has digest"},
	} {
		_, err := AddDeltas(t.Context(), dir, []string{good, c.old}, fast, quiet)
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
		if len(froms(t, dir)) != 0 {
			t.Errorf("%s: the release has deltas from %v", c.name, froms(t, dir))
		}
	}
	if err := os.WriteFile(filepath.Join(dir, release.DeltasName), []byte(`{"format": 1, "app": "other", "version": "1.2.0", "arch": "amd64", "deltas": []}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := AddDeltas(t.Context(), dir, []string{good}, fast, quiet); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "deltas.json is of other") {
		t.Errorf("the list of another release: got %v", err)
	}
}

func TestOpenSubject(t *testing.T) {
	folder := releaseOf(t, "1.1.0")
	file := filepath.Join(folder, "conifer_1.1.0.efi")
	image := image(t)
	for name, c := range map[string]struct {
		path, app, version string
		targets            int
	}{
		"a release": {folder, "conifer-os", "1.1.0", 2},
		"an image":  {image, "conifer-os", "1.1.0", 2},
		"a file":    {file, "", "", 1},
	} {
		s, err := OpenSubject(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if s.App != c.app || s.Version != c.version || len(s.Sources) != c.targets || s.SizeBytes() == 0 {
			t.Errorf("%s: got %+v", name, s)
		}
	}
	if _, err := OpenSubject(t.TempDir()); !fault.Is(err, fault.NotFound) {
		t.Errorf("a folder of something else: got %v", err)
	}
	if _, err := OpenSubject(folder + "/none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing: got %v", err)
	}
}
