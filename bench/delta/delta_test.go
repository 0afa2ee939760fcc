package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/factory/image"
)

// TestMain lets measure start this program as it starts the real one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		if err := runChild(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestChosenFrom(t *testing.T) {
	tests := map[string][]string{
		"":       {"a", "b", "c"},
		"b":      {"b"},
		"c,a":    {"a", "c"},
		"-b":     {"a", "c"},
		"-a,-c":  {"b"},
		"a,b,-b": {"a", "b"},
	}
	for list, want := range tests {
		var got []string
		for _, name := range []string{"a", "b", "c"} {
			if chosenFrom(list, name) {
				got = append(got, name)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", list, d)
		}
	}
	if err := checkNames("row", "a,-d", []string{"a"}); err == nil || !strings.Contains(err.Error(), `no row "-d"`) {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestParseOffers(t *testing.T) {
	got, err := parseOffers(" libx | 1:2.0-1 | http://mirror.example stable/main amd64 Packages\n libx | 1:2.0-1 | http://other.example stable/main amd64 Packages\n" +
		" libx | 1:1.9-1 | http://mirror.example stable/main amd64 Packages\n    y | 3 | http://mirror.example stable/main amd64 Packages\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string][]string{"libx": {"1:2.0-1", "1:1.9-1"}, "y": {"3"}}, got); d != "" {
		t.Error(d)
	}
	if _, err := parseOffers("E: nothing there\n"); err == nil {
		t.Error("an error of apt is taken for a version")
	}
}

func TestOneKernelIsNotWhicheverIsNewest(t *testing.T) {
	for name, want := range map[string]bool{
		"linux-image-6.12.107+deb13-cloud-amd64": true, "linux-image-cloud-amd64": false, "linux-image-6.12.107+deb13-amd64": false,
		"linux-image-6.12.107+deb13-cloud-arm64": false, "linux-image-6.12.107+deb13-cloud-amd64-unsigned": false,
	} {
		if got := isKernel(name, "amd64"); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The old side of a pair is pinned to what the suites still have of the time before, and apt takes it so.
func TestBeforeHasAConfigurationOfItsOwn(t *testing.T) {
	a, err := newApt(t.TempDir(), t.TempDir(), "amd64", pairs[0].from, image.Mirrors{Main: "http://mirror.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	if !a.before {
		t.Error("the old side of the security pair is as new as the new one")
	}
	if text, err := os.ReadFile(a.preferences()); err != nil || len(text) > 0 {
		t.Errorf("apt begins with preferences %q, %v", text, err)
	}
}

func TestParseURIs(t *testing.T) {
	got, err := parseURIs("'http://mirror.example/a/x_1.0_amd64.deb' x_1%3a1.0_amd64.deb 12 SHA256:ab\n'file:/y.deb' y_2_all.deb 3 SHA256:cd\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []archive{{"x_1%3a1.0_amd64.deb", "12", "SHA256:ab"}, {"y_2_all.deb", "3", "SHA256:cd"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(archive{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"'uri' x.deb 12\n", "'uri' ../x.deb 12 SHA256:ab\n", "Reading package lists...\n"} {
		if _, err := parseURIs(bad); err == nil {
			t.Errorf("%q is taken for a package", bad)
		}
	}
}

func TestPredecessors(t *testing.T) {
	old := []string{"lib/6.12.9+deb13/x.ko", "lib/libz.so.1.2", "bin/a", "bin/b1", "bin/b2"}
	got := predecessors(old, []string{"lib/6.12.11+deb13/x.ko", "lib/libz.so.1.3", "bin/a", "bin/b1", "bin/c"})
	want := map[string]string{
		"lib/6.12.11+deb13/x.ko": "lib/6.12.9+deb13/x.ko", "lib/libz.so.1.3": "lib/libz.so.1.2", "bin/a": "bin/a", "bin/b1": "bin/b1", "bin/c": "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMissingBlocks(t *testing.T) {
	folder := t.TempDir()
	a, b, c := strings.Repeat("a", blockBytes), strings.Repeat("b", blockBytes), strings.Repeat("c", blockBytes)
	from, to := write(t, folder+"/from", a+b), write(t, folder+"/to", c+b+a+c+"tail")
	all, missing, err := missingBlocks(from, to, folder+"/missing")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(folder + "/missing")
	if err != nil {
		t.Fatal(err)
	}
	if all != 5 || missing != 2 || string(text) != c+"tail" {
		t.Errorf("%d of %d blocks are missing, %d bytes; want the one that is new, and the tail", missing, all, len(text))
	}
}

func TestSameTree(t *testing.T) {
	tests := map[string]struct {
		change func(root string) error
		want   string // part of the error; "" for none
	}{
		"same":      {func(string) error { return nil }, ""},
		"byte":      {func(root string) error { return os.WriteFile(root+"/d/file", []byte("texT"), 0o644) }, "differs"},
		"longer":    {func(root string) error { return os.WriteFile(root+"/d/file", []byte("text and more"), 0o644) }, "differs"},
		"mode":      {func(root string) error { return os.Chmod(root+"/d/file", 0o755) }, "mode"},
		"missing":   {func(root string) error { return os.Remove(root + "/d/file") }, "no such file"},
		"one more":  {func(root string) error { return os.Mkdir(root+"/other", 0o755) }, "1 names more"},
		"link":      {func(root string) error { return relink(root+"/link", "elsewhere") }, "points at"},
		"no folder": {func(root string) error { return relink(root+"/empty", "d") }, "mode"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, want := t.TempDir(), t.TempDir()
			for _, root := range []string{got, want} {
				write(t, root+"/d/file", "text")
				if err := errors.Join(os.Symlink("d/file", root+"/link"), os.Mkdir(root+"/empty", 0o755)); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.change(got); err != nil {
				t.Fatal(err)
			}
			err := sameTree(got, want)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func relink(path, to string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.Symlink(to, path)
}

// copyTool sends the new file as it is, which is the least that a tool can do.
var copyTool = tool{
	make:  func(_, to, payload string) []string { return []string{"cp", to, payload} },
	apply: func(_, payload, to string) []string { return []string{"cp", payload, to} },
}

func TestToolCountsOnlyWhatGivesTheNewFile(t *testing.T) {
	folder := t.TempDir()
	from, to := write(t, folder+"/from", "older"), write(t, folder+"/to", "newer than that")
	r, err := copyTool.measureFiles(t.Context(), t.TempDir(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	if r.Bytes != 15 || r.Make.Seconds <= 0 || r.Apply.PeakMiB <= 0 {
		t.Errorf("result is %+v, want 15 bytes and some cost", r)
	}
	wrong := copyTool
	wrong.apply = func(from, _, to string) []string { return []string{"cp", from, to} }
	if _, err := wrong.measureFiles(t.Context(), t.TempDir(), from, to); err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("a payload that gives the old file gives %v", err)
	}
	wrong.apply = func(_, _, _ string) []string { return []string{"sh", "-c", "echo cannot >&2; exit 3"} }
	if _, err := wrong.measureFiles(t.Context(), t.TempDir(), from, to); err == nil || !strings.Contains(err.Error(), "cannot") {
		t.Errorf("a tool that fails gives %v", err)
	}
}

// The peak must be the child's, whatever this process has resident.
func TestMeasureTellsTheChildsMemory(t *testing.T) {
	ballast := make([]byte, 200<<20)
	for i := range ballast {
		ballast[i] = 1
	}
	c, err := measure(t.Context(), t.TempDir(), "true")
	if err != nil {
		t.Fatal(err)
	}
	if c.PeakMiB <= 0 || c.PeakMiB > 100 {
		t.Errorf("true had %.0f MiB resident, while this process has %d", c.PeakMiB, len(ballast)>>20)
	}
}

// somePair is one that was measured with the rows named.
func somePair(t *testing.T, results map[string]int64) measured {
	t.Helper()
	p := pairs[0]
	p.folder = t.TempDir()
	m := measured{pair: &p}
	write(t, p.oldImage(), "old")
	write(t, p.newImage(), "newer")
	write(t, p.oldTree()+".packages", "a_1_all.deb 1000 SHA256:1\nb_1_all.deb 20 SHA256:2\n")
	write(t, p.newTree()+".packages", "a_2_all.deb 1234 SHA256:3\nb_1_all.deb 20 SHA256:2\n")
	own, err := ours("bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range append(append([]row{}, rows...), own) {
		if n, ok := results[w.name]; ok {
			m.rows, m.results = append(m.rows, w), append(m.results, result{Bytes: n, Note: "as " + w.name, Apply: cost{PeakMiB: 7}})
		}
	}
	return m
}

func TestReport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "delta.md")
	m := somePair(t, map[string]int64{"full": 4_000_000, "rauc": 500_000, "ostree": 1_000_000, "ours": 250_000})
	r := report{settings: settings{out: out}, pairs: []measured{m}}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"1 of 2 packages differ, whose files have 1,234 bytes", "| the whole image by zstd -19 | 4,000,000 | 4.00 |", "estimate | 500,000 | 0.50 | 0.0 | 0.0 | | | |",
		"| OSTree static delta | 1,000,000 | 1.00 |", "| Conifer | 250,000 | 0.25 |", "7 MiB |", "- OSTree static delta: as ostree.", "(delta.svg)",
		"- Left out: casync, zchunk, xdelta3 -9,",
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if bars := rectangles(t, strings.TrimSuffix(out, ".md")+".svg"); bars != 1+4 {
		t.Errorf("the picture has %d rectangles, want the ground and a bar for each row", bars)
	}
}

func rectangles(t *testing.T, file string) (n int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if err == io.EOF {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			n++
		}
	}
}

// A result is kept until the version of its program changes; our own is measured each time, and the slow row when it is asked for.
func TestResultsAreKept(t *testing.T) {
	m, runs := somePair(t, nil), map[string]int{}
	counted := func(name, debian string, slow bool) row {
		return row{name: name, debian: debian, slow: slow, measure: func(context.Context, *trial) (result, error) {
			runs[name]++
			return result{Bytes: 1}, nil
		}}
	}
	chosen := []row{counted("peer", "zstd", false), counted("slow", "zstd", true), counted("ours", "", false)}
	s := &settings{folder: t.TempDir()}
	steps := []struct {
		version      string
		fresh, ultra bool
		want         map[string]int
		shown        int
	}{
		{"1", false, false, map[string]int{"peer": 1, "ours": 1}, 2},
		{"1", false, false, map[string]int{"peer": 1, "ours": 2}, 2},
		{"2", false, true, map[string]int{"peer": 2, "ours": 3, "slow": 1}, 3},
		{"2", false, false, map[string]int{"peer": 2, "ours": 4, "slow": 1}, 3},
		{"2", true, false, map[string]int{"peer": 3, "ours": 5, "slow": 1}, 3},
	}
	for i, step := range steps {
		s.fresh, s.ultra = step.fresh, step.ultra
		m.rows, m.results = nil, nil
		if err := m.measure(t.Context(), s, chosen, map[string]string{"zstd": step.version}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(step.want, runs); d != "" || len(m.results) != step.shown {
			t.Errorf("step %d shows %d rows, runs: %s", i, len(m.results), d)
		}
	}
}
