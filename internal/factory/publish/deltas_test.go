package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// from orders deltas from versions of the repository.
func from(versions ...string) Order {
	return Order{DeltaFrom: versions, Delta: pack.DeltaOptions{Options: pack.Options{Level: zstd.SpeedFastest}}}
}

// deltas lists what the signed deltas to a version are from, after it has looked at each as a machine does.
func (w *workshop) deltas(version string) []string {
	w.Helper()
	view, err := w.Check(today)
	if err != nil {
		w.Fatal(err)
	}
	dir := filepath.Join(w.Dir, "conifer-os", "amd64", version)
	rel, _, err := pack.ReadRelease(dir)
	if err != nil {
		w.Fatal(err)
	}
	list, err := w.Deltas(view, rel)
	if err != nil {
		w.Fatal(err)
	}
	var versions []string
	for _, d := range list {
		file, err := os.ReadFile(filepath.Join(dir, d.Name))
		if err != nil {
			w.Fatal(err)
		}
		if _, err := payload.ParseSignedDelta(rel, &d, file[:d.ManifestSizeBytes]); err != nil || digest(file) != d.SHA256 {
			w.Errorf("the delta from %s: %v", d.From, err)
		}
		versions = append(versions, d.From)
	}
	return versions
}

func TestPublishSignsDeltas(t *testing.T) {
	w := newWorkshop(t)
	w.publish("1.0.0")
	w.publish("1.1.0")
	p, err := w.Publish(t.Context(), w.release("1.2.0", 1), from("1.0.0", "1.1.0"), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, w.deltas("1.2.0")); diff != "" {
		t.Error(diff)
	}
	if p.View.TargetsVersion != 4 || !slices.Contains(p.View.Paths(), "conifer-os/amd64/1.2.0/deltas.json") {
		t.Errorf("targets version %d, %v", p.View.TargetsVersion, p.View.Paths())
	}
	if w.deltas("1.1.0") != nil {
		t.Error("a release has deltas that nobody ordered")
	}
	again, err := w.Publish(t.Context(), w.release("1.2.0", 1), from("1.1.0"), quiet)
	if err != nil || again.Changed {
		t.Errorf("again: %+v, %v", again, err)
	}
	releases, err := w.Releases(p.View)
	if err != nil || len(releases) != 3 {
		t.Errorf("there are %d releases (%v)", len(releases), err)
	}
}

func TestDeltasAreAddedToAPublishedRelease(t *testing.T) {
	w := newWorkshop(t)
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		w.publish(version)
	}
	for i, version := range []string{"1.1.0", "1.0.0", "1.0.0"} {
		p, err := w.AddDeltas(t.Context(), "conifer-os", "amd64", "1.2.0", from(version), quiet)
		if err != nil {
			t.Fatal(err)
		}
		if p.Changed != (i < 2) {
			t.Errorf("%d, from %s: changed is %v", i, version, p.Changed)
		}
	}
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, w.deltas("1.2.0")); diff != "" {
		t.Error(diff)
	}
	_, err := w.AddDeltas(t.Context(), "conifer-os", "amd64", "1.3.0", from("1.0.0"), quiet)
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "It has 1.2.0, 1.1.0, 1.0.0." {
		t.Errorf("a release that was never published: got %v, hint %q", err, fault.HintOf(err))
	}
}

// The deltas that are in a release folder are published with it, and the ordered ones beside them.
func TestDeltasOfTheReleaseFolderArePublished(t *testing.T) {
	w := newWorkshop(t)
	old, dir := w.release("1.0.0", 1), w.release("1.2.0", 1)
	w.publish("1.1.0")
	if _, err := pack.AddDeltas(t.Context(), dir, []string{old}, from().Delta, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Publish(t.Context(), dir, from("1.1.0"), quiet); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, w.deltas("1.2.0")); diff != "" {
		t.Error(diff)
	}
}

func TestPublishRefusesDeltas(t *testing.T) {
	w := newWorkshop(t)
	old, dir := w.release("1.0.0", 1), w.release("1.2.0", 1)
	w.publish("1.1.0")
	if _, err := pack.AddDeltas(t.Context(), dir, []string{old}, from().Delta, quiet); err != nil {
		t.Fatal(err)
	}
	delta, list := filepath.Join(dir, "from-1.0.0.payload"), filepath.Join(dir, release.DeltasName)
	good := map[string][]byte{}
	for _, path := range []string{delta, list} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		good[path] = b
	}
	for _, c := range []struct {
		name, path string
		b          []byte
		from       []string
		kind       fault.Kind
		message    string
	}{
		{"a damaged delta", delta, []byte("x"), nil, fault.Corrupt, "from-1.0.0.payload has digest"},
		{"a list of something else", list, []byte("{}"), nil, fault.Unsupported, "format 0"},
		{"a list that says another version", list, []byte(strings.Replace(string(good[list]), `"from": "1.0.0"`, `"from": "0.9.0"`, 1)), nil, fault.Untrusted, `made from "1.0.0", want "0.9.0"`},
		{"a list that says other features", list, []byte(strings.Replace(string(good[list]), `"delta-1"`, `"delta-0"`, 1)), nil, fault.Invalid, "needs [\"delta-1\"]"},
		{"a version that is not in the repository", list, good[list], []string{"0.5.0"}, fault.NotFound, "from 0.5.0, which the repository does not have"},
	} {
		if err := os.WriteFile(c.path, c.b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := w.Publish(t.Context(), dir, from(c.from...), quiet)
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
		if err := os.WriteFile(c.path, good[c.path], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	view, err := w.Check(today)
	if err != nil || len(view.Paths()) != 1 {
		t.Errorf("afterwards: %v, %v", view, err)
	}
	if _, err := w.Publish(t.Context(), dir, from("1.1.0"), quiet); err != nil {
		t.Errorf("with everything as it should be: %v", err)
	}
}

func TestRecentReleases(t *testing.T) {
	w := newWorkshop(t)
	var view = w.publish("1.9.0").View
	for _, version := range []string{"1.10.0", "1.8.0", "1.11.0~rc1", "1.11.0"} {
		view = w.publish(version).View
	}
	for below, want := range map[string][]string{
		"1.11.0": {"1.11.0~rc1", "1.10.0", "1.9.0"},
		"1.9.0":  {"1.8.0"},
		"1.8.0":  nil,
	} {
		if diff := cmp.Diff(want, Recent(view, "conifer-os", "amd64", below, 3)); diff != "" {
			t.Errorf("below %s: %s", below, diff)
		}
	}
	if got := Recent(view, "conifer-os", "arm64", "2.0.0", 3); got != nil {
		t.Errorf("of another architecture: %v", got)
	}
}
