package pack

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

var created = time.Unix(1_700_000_000, 5).UTC()

var fast = DeltaOptions{Options: Options{Level: zstd.SpeedFastest}}

func quiet(string, int64) (func(int64), func()) { return func(int64) {}, func() {} }

// image makes a small image folder of version 1.1.0.
func image(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if err := imagetest.Write(dir, "1.1.0"); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCreateReleaseMakesAWholeFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "releases", "1.1.0")
	made, err := CreateRelease(t.Context(), image(t), out, nil, created, DeltaOptions{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, release.FileName))
	if err != nil {
		t.Fatal(err)
	}
	r, err := release.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, r); diff != "" {
		t.Error(diff)
	}
	if r.App != "conifer-os" || r.Packages[0].Name != "linux-image-amd64" || !r.Created.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("app %s, first package %s, created %v", r.App, r.Packages[0].Name, r.Created)
	}
	sums, err := os.ReadFile(filepath.Join(out, SumsFileName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got, err := Digest(t.Context(), filepath.Join(out, name), func(int64) {}); err != nil || got != sum {
			t.Errorf("%s: digest %s (%v), SHA256SUMS says %s", name, got, err, sum)
		}
	}
	if n := strings.Count(string(sums), "\n"); n != 6 {
		t.Errorf("SHA256SUMS has %d lines, want 6", n)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(out), "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the release: %v", left)
	}
}

func TestArtifactsAreNamedAsSystemdSysupdateWantsThem(t *testing.T) {
	r, err := CreateRelease(t.Context(), image(t), filepath.Join(t.TempDir(), "r"), nil, created, fast, quiet)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, a := range r.Artifacts {
		names[a.Kind] = a.Name
	}
	want := map[string]string{
		"uki":     "conifer_1.1.0.efi",
		"root":    "conifer_1.1.0_b60809d9-1082-cb44-df2d-f7def66dfded.root-amd64.raw",
		"verity":  "conifer_1.1.0_be53a852-eebf-4528-86ad-5a2aa59c1a23.root-amd64-verity.raw",
		"disk":    "conifer_1.1.0.disk.raw",
		"payload": "full.payload",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestCreatedIsTheImagesUnlessGiven(t *testing.T) {
	for want, given := range map[string]time.Time{"2026-02-01T00:00:00Z": {}, "2023-11-14T22:13:20Z": created} {
		i, err := OpenImage(image(t))
		if err != nil {
			t.Fatal(err)
		}
		if got := i.release(given).Created.Format(time.RFC3339Nano); got != want {
			t.Errorf("created %s, want %s", got, want)
		}
	}
}

func TestAPayloadHoldsEveryKind(t *testing.T) {
	dir := t.TempDir()
	root := imagetest.Noise("root", 2*ChunkSizeBytes)
	copy(root[ChunkSizeBytes:], bytes.Repeat([]byte("conifer "), ChunkSizeBytes/8))
	root = append(append(root, make([]byte, ChunkSizeBytes)...), imagetest.Noise("tail", 8192)...)
	out := filepath.Join(dir, "p")
	made, err := Make(t.Context(), []Source{{"root", write(t, dir, "root", root)}}, out, Options{App: "a", Arch: "b", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"raw": 2, "zero": 1, "zstd": 1}, kinds(t, out, "root")); diff != "" {
		t.Error(diff)
	}
	if sums := applied(t, out, nil); sums["root"] != digest(root) {
		t.Errorf("it makes %s of it, want %s", sums["root"], digest(root))
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	r := &release.Release{App: "a", Arch: "b", Version: "1", Root: release.Root{SizeBytes: int64(len(root))}, Payload: *made}
	if _, err := payload.ParseSigned(r, file[:made.ManifestSizeBytes]); err != nil {
		t.Error(err)
	}
}

func TestMakeGivesTheSameBytesForAnyNumberOfWorkers(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "root")
	b := bytes.Repeat(append(imagetest.Noise("a", 300_000), make([]byte, 1<<20)...), 6)
	if err := os.WriteFile(source, b, 0o644); err != nil {
		t.Fatal(err)
	}
	var first *release.Payload
	for _, workers := range []int{1, 2, 7} {
		got, err := Make(t.Context(), []Source{{"root", source}}, filepath.Join(dir, "p"),
			Options{App: "a", Arch: "b", Version: "1", Level: zstd.SpeedFastest, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	dir := t.TempDir()
	empty, full := filepath.Join(dir, "empty"), filepath.Join(dir, "full")
	for path, b := range map[string][]byte{empty: nil, full: make([]byte, 20<<20)} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{App: "a", Arch: "b", Version: "1"}
	cases := []struct {
		name    string
		ctx     context.Context
		sources []Source
		message string
	}{
		{"an empty target", t.Context(), []Source{{"root", empty}}, "is empty"},
		{"a missing file", t.Context(), []Source{{"root", dir + "/none"}}, "no such file"},
		{"two equal targets", t.Context(), []Source{{"root", full}, {"root", full}}, "two targets"},
		{"work that was cancelled", canceled, []Source{{"root", full}}, "canceled"},
	}
	for _, c := range cases {
		_, err := Make(c.ctx, c.sources, filepath.Join(dir, "out"), o)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCreateReleaseRefuses(t *testing.T) {
	// edit changes a file of the image.
	edit := func(name, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte(old), []byte(new)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := []struct {
		name    string
		change  func(*testing.T, string)
		kind    fault.Kind
		message string
	}{
		{"no image", remove("image.json"), fault.NotFound, "no image folder"},
		{"broken description", edit("image.json", "{", "["), fault.Invalid, "parse image.json"},
		{"version that is a path", edit("image.json", "1.1.0", "../1"), fault.Invalid, "version"},
		{"half a root hash", edit("image.json", "b60809d91082cb44df2df7def66dfded", ""), fault.Invalid, "want 32 bytes of hex"},
		{"another size", edit("image.json", "204800", "4096"), fault.Invalid, "root has 204800 bytes"},
		{"kernel of another root", edit("conifer_1.1.0.efi", "roothash=", "roothash=0"), fault.Invalid, "does not name the root hash"},
		{"no kernel", remove("conifer_1.1.0.efi"), fault.NotFound, "conifer_1.1.0.efi"},
		{"no verity tree", remove("conifer_1.1.0.root-amd64-verity.raw"), fault.NotFound, "verity"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, out := image(t), filepath.Join(t.TempDir(), "r")
			c.change(t, dir)
			_, err := CreateRelease(t.Context(), dir, out, nil, created, fast, quiet)
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v (%v)", err, fault.KindOf(err))
			}
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if _, err := CreateRelease(t.Context(), image(t), t.TempDir(), nil, created, DeltaOptions{}, quiet); !fault.Is(err, fault.Conflict) {
		t.Errorf("a folder that exists: got %v", err)
	}
}

func TestVerifyFindsEveryDamage(t *testing.T) {
	dir := t.TempDir()
	if _, err := CreateRelease(t.Context(), image(t), dir+"/r", nil, created, fast, quiet); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, "r", PayloadFileName))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "damaged")
	damage := map[string][]byte{
		"ends in its prefix":   good[:7],
		"ends in its manifest": good[:100],
		"ends in the data":     good[:len(good)-1],
		"bytes after":          append(bytes.Clone(good), 0),
		"has data with digest": append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
	}
	for message, b := range damage {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := Verify(t.Context(), path, nil, func(int64) {})
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), message) {
			t.Errorf("want %q, got %v", message, err)
		}
	}
}

func TestContainsFindsWhatCrossesABuffer(t *testing.T) {
	want := []byte("roothash=1234")
	b := append(make([]byte, 1<<20-5), want...)
	if found, err := contains(bytes.NewReader(b), want); !found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if found, err := contains(bytes.NewReader(b[:len(b)-1]), want); found || err != nil {
		t.Errorf("without its end: found %v, %v", found, err)
	}
}
