package trust

import (
	"bytes"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

func TestReleaseRefuses(t *testing.T) {
	w := newWorld(t)
	// Signed, but under the path of another architecture and of another version.
	w.addTarget(release.TargetPath("conifer-os", "arm64", "1.1.0"), describe("1.1.0"), nil)
	w.addTarget(pathOf("1.3.0"), describe("1.1.0"), nil)
	w.addTarget(pathOf("1.4.0"), []byte("{}"), nil)
	w.addRelease("1.5.0", "text")
	w.next()
	view, _, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := describe("1.1.0")
	for _, c := range []struct {
		name, path string
		text       []byte
		kind       fault.Kind
		message    string
	}{
		{"unknown target", pathOf("9.9.9"), good, fault.NotFound, "does not name conifer-os/amd64/9.9.9/release.json"},
		{"wrong length", pathOf("1.1.0"), good[1:], fault.Corrupt, "bytes, want"},
		{"wrong hash", pathOf("1.1.0"), bytes.Replace(good, []byte("amd64"), []byte("arm64"), 1), fault.Corrupt, "has digest"},
		{"another architecture", release.TargetPath("conifer-os", "arm64", "1.1.0"), good, fault.Untrusted, "conifer-os/arm64/1.1.0/release.json describes conifer-os/amd64/1.1.0"},
		{"another version", pathOf("1.3.0"), good, fault.Untrusted, "1.3.0/release.json describes"},
		{"no release", pathOf("1.4.0"), []byte("{}"), fault.Unsupported, "format 0"},
		{"custom that is no object", pathOf("1.5.0"), describe("1.5.0"), fault.Corrupt, "custom field"},
	} {
		_, _, err := view.Release(c.path, c.text)
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
	}
}

func TestAdmit(t *testing.T) {
	w := newWorld(t)
	w.addRelease("1.0.0", Custom{DowngradeFrom: []string{"1.1.0"}})
	w.next()
	view, _, err := w.refresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, allowed, err := view.Release(pathOf("1.0.0"), describe("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		version, committed string
		custom             Custom
		want               bool
	}{
		{"1.1.0", "", Custom{}, true},
		{"1.1.0", "1.0.0", Custom{}, true},
		{"1.1.0", "1.1.0", Custom{}, true},
		{"1.10.0", "1.9.0", Custom{}, true},
		{"1.1.0~rc1", "1.1.0", Custom{}, false},
		{"1.0.0", "1.1.0", Custom{}, false},
		{"1.0.0", "1.1.0", allowed.Custom, true},
		{"1.0.0", "1.2.0", allowed.Custom, false}, // another downgrade than the one that was allowed
	} {
		err := Admit(&release.Release{Version: c.version}, c.committed, c.custom)
		if (err == nil) != c.want || err != nil && !fault.Is(err, fault.Untrusted) {
			t.Errorf("%s over %s with %v: got %v", c.version, c.committed, c.custom, err)
		}
	}
}

// FuzzRefresh lets the mirror answer anything: nothing it sends may be accepted, or stop the program.
func FuzzRefresh(f *testing.F) {
	w := newWorld(f)
	for role, name := range []string{"2.root.json", TimestampName, "1.snapshot.json", "1.targets.json"} {
		b := w.files[name]
		if role == 0 {
			b = w.files["1.root.json"]
		}
		f.Add(uint8(role), b)
	}
	initial := w.files["1.root.json"]
	f.Fuzz(func(t *testing.T, role uint8, b []byte) {
		files := w.copyFiles()
		name := []string{"2.root.json", TimestampName, "1.snapshot.json", "1.targets.json"}[role%4]
		files[name] = b
		view, _, err := Refresh(initial, Cache{name: b, TargetsName: b, SnapshotName: b, TimestampName: b}, serve(files), today, today)
		if err == nil && (len(view.Paths()) != 1 || view.RootVersion != 1) {
			t.Fatalf("accepted %q", b)
		}
	})
}
