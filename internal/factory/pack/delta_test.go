package pack

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/factory/diff"
	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// write makes a file and returns its path.
func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func deltaOptions() DeltaOptions {
	return DeltaOptions{Options: Options{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Level: zstd.SpeedFastest}, From: "1.0.0"}
}

// pair is the sources of two releases that are alike, root and kernel.
func pair(t *testing.T, dir string) (old, new []Source) {
	for _, version := range []string{"1.0.0", "1.1.0"} {
		sources := []Source{
			{payload.TargetRoot, write(t, dir, "root-"+version, imagetest.Root(version))},
			{payload.TargetUKI, write(t, dir, "uki-"+version, append(imagetest.Noise("uki", 50_000), version...))},
		}
		old, new = new, sources
	}
	return old, new
}

// applied is what a payload makes of old sources.
func applied(t *testing.T, path string, old []Source) map[string]string {
	t.Helper()
	olds, closeOlds, err := OpenOlds(old)
	if err != nil {
		t.Fatal(err)
	}
	defer closeOlds()
	_, sums, err := Verify(t.Context(), path, olds, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func fileDigest(t *testing.T, path string) string {
	t.Helper()
	sum, err := Digest(t.Context(), path, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestMakeDeltaMakesTheNewOfTheOld(t *testing.T) {
	dir := t.TempDir()
	old, new := pair(t, dir)
	out := filepath.Join(dir, "from-1.0.0.payload")
	o := deltaOptions()
	var counted atomic.Int64
	o.Count = func(n int64) { counted.Add(n) }
	made, err := MakeDelta(t.Context(), old, new, out, o)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	r := &release.Release{App: "conifer-os", Arch: "amd64", Version: "1.1.0", Root: release.Root{SizeBytes: imagetest.RootSizeBytes}}
	m, err := payload.ParseSignedDelta(r, made, file[:made.ManifestSizeBytes])
	if err != nil {
		t.Fatal(err)
	}
	if made.Name != "from-1.0.0.payload" || made.SizeBytes != int64(len(file)) || made.SHA256 != digest(file) || !cmp.Equal(made.Features, m.Features) {
		t.Errorf("made %+v", made)
	}
	if made.SizeBytes > 20_000 {
		t.Errorf("the delta has %d bytes; the two roots differ in few", made.SizeBytes)
	}
	sums := applied(t, out, old)
	size := int64(0)
	for _, s := range new {
		if sums[s.Target] != fileDigest(t, s.Path) {
			t.Errorf("%s became something else", s.Target)
		}
		target, err := m.Target(s.Target)
		if err != nil {
			t.Fatal(err)
		}
		size += target.SizeBytes
	}
	if counted.Load() != 3*size {
		t.Errorf("counted %d bytes, want %d three times: found, written and proven", counted.Load(), size)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 5 {
		t.Errorf("left behind: %v", left)
	}
}

func TestMakeDeltaGivesTheSameBytesForAnyNumberOfWorkers(t *testing.T) {
	dir := t.TempDir()
	old, new := pair(t, dir)
	var first *release.Delta
	for _, workers := range []int{1, 2, 7} {
		o := deltaOptions()
		o.Workers = workers
		made, err := MakeDelta(t.Context(), old, new, filepath.Join(dir, "p"), o)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = made
		}
		if diff := cmp.Diff(first, made); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

// kinds counts the operations of a target.
func kinds(t *testing.T, path, target string) map[string]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := ReadManifest(f)
	if err != nil {
		t.Fatal(err)
	}
	found, err := m.Target(target)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, op := range found.Ops {
		counts[op.Kind]++
	}
	return counts
}

// What has nothing in common with the old is packed as in a full payload, and so is a target that the old release lacks.
func TestADeltaTakesWhateverIsSmaller(t *testing.T) {
	dir := t.TempDir()
	old, new := pair(t, dir)
	old[1].Path = write(t, dir, "uki-of-old", imagetest.Noise("old", 60_000))
	new[1].Path = write(t, dir, "uki-of-new", imagetest.Noise("new", 60_000))
	new = append(new, Source{"firmware", write(t, dir, "firmware", []byte("something that is new"))})
	out := filepath.Join(dir, "p")
	if _, err := MakeDelta(t.Context(), old, new, out, deltaOptions()); err != nil {
		t.Fatal(err)
	}
	if kinds(t, out, "root")["delta"] == 0 {
		t.Errorf("the root is made of %v", kinds(t, out, "root"))
	}
	for _, target := range []string{"uki", "firmware"} {
		if diff := cmp.Diff(map[string]int{"raw": 1}, kinds(t, out, target)); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	sums := applied(t, out, old)
	for _, s := range new {
		if sums[s.Target] != fileDigest(t, s.Path) {
			t.Errorf("%s became something else", s.Target)
		}
	}
}

func TestMakeDeltaRefuses(t *testing.T) {
	dir := t.TempDir()
	old, new := pair(t, dir)
	empty := write(t, dir, "empty", nil)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	// found changes what was found of the first plan.
	found := func(change func([]diff.Op) []diff.Op) finder {
		return func(ctx context.Context, old, new diff.Image, o diff.Options) ([]diff.Op, error) {
			ops, err := diff.Find(ctx, old, new, o)
			return change(ops), err
		}
	}
	short := found(func(ops []diff.Op) []diff.Op { return ops[:len(ops)-1] })
	wrong := found(func(ops []diff.Op) []diff.Op {
		ops[0].Plan.Regions = []delta.Region{{SizeBytes: ops[0].Plan.SizeBytes, Exact: true, Pieces: []delta.Piece{{SizeBytes: ops[0].Plan.SizeBytes}}}}
		return ops
	})
	cases := []struct {
		name     string
		ctx      context.Context
		old, new []Source
		find     finder
		from     string
		message  string
	}{
		{"an empty new target", t.Context(), old, []Source{{"root", empty}}, nil, "1.0.0", "is empty"},
		{"an empty old target", t.Context(), []Source{{"root", empty}}, new, nil, "1.0.0", "is empty"},
		{"a missing file", t.Context(), []Source{{"root", dir + "/none"}}, new, nil, "1.0.0", "no such file"},
		{"no version to come from", t.Context(), old, new, nil, "", `payload is from release ""`},
		{"work that was cancelled", canceled, old, new, nil, "1.0.0", "canceled"},
		{"a plan that misses a part", t.Context(), old, new, short, "1.0.0", "the plans make"},
		{"a plan that is wrong", t.Context(), old, new, wrong, "1.0.0", "prove payload"},
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		o := deltaOptions()
		o.From, o.find = c.from, c.find
		_, err := MakeDelta(c.ctx, c.old, c.new, filepath.Join(dir, "out"), o)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != len(before) {
		t.Errorf("left behind: %v", left)
	}
}

func TestApplyRefuses(t *testing.T) {
	dir := t.TempDir()
	old, new := pair(t, dir)
	out := filepath.Join(dir, "p")
	if _, err := MakeDelta(t.Context(), old, new, out, deltaOptions()); err != nil {
		t.Fatal(err)
	}
	flipped := imagetest.Root("1.0.0")
	flipped[12345] ^= 1
	good, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1] ^= 1
	cases := []struct {
		name    string
		payload []byte
		old     []Source
		kind    fault.Kind
		message string
	}{
		{"another old root", good, []Source{{"root", write(t, dir, "flipped", flipped)}, old[1]}, fault.Corrupt, "target root: operation at offset 0 "},
		{"no old kernel", good, old[:1], fault.NotFound, "there is no old uki"},
		{"a damaged payload", damaged, old, fault.Corrupt, "has data with digest"},
		{"a payload that is cut short", good[:len(good)-1], old, fault.Corrupt, "ends in the data"},
		{"bytes after the end", append(bytes.Clone(good), 0), old, fault.Corrupt, "bytes after"},
	}
	for _, c := range cases {
		path := write(t, dir, "damaged", c.payload)
		olds, closeOlds, err := OpenOlds(c.old)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Verify(t.Context(), path, olds, func(int64) {})
		closeOlds()
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
		if _, _, err = Verify(t.Context(), path, nil, func(int64) {}); fault.Is(err, fault.Corrupt) == bytes.Equal(c.payload, good) {
			t.Errorf("%s, without the old: got %v", c.name, err)
		}
	}
	_, sums, err := Verify(t.Context(), out, nil, func(int64) {})
	if err != nil || sums["root"] != "" {
		t.Errorf("without the old: %v, %v", sums, err)
	}
}

// origins says for every byte that plans write where it is from.
func origins(plans ...*delta.Plan) (all []int64) {
	for _, p := range plans {
		for _, r := range p.Regions {
			for _, piece := range r.Pieces {
				for i := range piece.SizeBytes {
					if piece.From == delta.New {
						i = 0
					}
					all = append(all, piece.From+i)
				}
			}
		}
	}
	return all
}

// However a plan is cut, every byte is from where it was from, and the sizes of regions and plans are those of their pieces.
func TestCutPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := &delta.Plan{OldSizeBytes: 2000}
		for range rapid.IntRange(1, 4).Draw(t, "regions") {
			region := delta.Region{Exact: rapid.Bool().Draw(t, "exact")}
			for range rapid.IntRange(1, 4).Draw(t, "pieces") {
				from := rapid.Int64Range(delta.New, 1999).Draw(t, "from")
				piece := delta.Piece{From: from, SizeBytes: rapid.Int64Range(1, 2000-max(from, 0)).Draw(t, "size")}
				region.Pieces = append(region.Pieces, piece)
				region.SizeBytes += piece.SizeBytes
			}
			plan.Regions = append(plan.Regions, region)
			plan.SizeBytes += region.SizeBytes
		}
		size := rapid.Int64Range(1, plan.SizeBytes).Draw(t, "cut")
		cut := cutPlan(plan, size)
		for i, p := range cut {
			regions := int64(0)
			for _, r := range p.Regions {
				regions += r.SizeBytes
				if got := int64(len(origins(&delta.Plan{Regions: []delta.Region{r}}))); got != r.SizeBytes || len(r.Pieces) == 0 {
					t.Fatalf("a region of %d bytes has pieces of %d", r.SizeBytes, got)
				}
			}
			if regions != p.SizeBytes || p.OldSizeBytes != 2000 || p.SizeBytes != size && i < len(cut)-1 {
				t.Fatalf("plan %d of %d makes %d bytes, its regions %d, want %d", i, len(cut), p.SizeBytes, regions, size)
			}
		}
		if diff := cmp.Diff(origins(plan), origins(cut...)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// More data than an operation may have becomes several operations.
func TestALargeDeltaIsCut(t *testing.T) {
	old, now := imagetest.Noise("old", 10_000), imagetest.Noise("new", 90_000)
	whole := &delta.Plan{OldSizeBytes: 10_000, SizeBytes: 90_000, Regions: []delta.Region{{
		SizeBytes: 90_000, Pieces: []delta.Piece{{From: 0, SizeBytes: 10_000}, {From: delta.New, SizeBytes: 80_000}},
	}}}
	const limit = 40_000
	parts, err := (&part{plan: whole}).encode(bytes.NewReader(old), bytes.NewReader(now), limit)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) < 3 {
		t.Fatalf("there are %d parts", len(parts))
	}
	var got bytes.Buffer
	for _, p := range parts {
		if len(p.data) > limit || p.offset != int64(got.Len()) || p.sha256 != digest(now[p.offset:p.offset+p.plan.SizeBytes]) {
			t.Errorf("a part at %d has %d bytes of data", p.offset, len(p.data))
		}
		if err := delta.Apply(&got, bytes.NewReader(old), 10_000, p.data, p.plan.SizeBytes); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got.Bytes(), now) {
		t.Error("the parts make other bytes")
	}
}
