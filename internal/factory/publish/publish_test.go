package publish

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/sign"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func quiet(string, int64) (func(int64), func()) { return func(int64) {}, func() {} }

// workshop is a key folder and a repository.
type workshop struct {
	*testing.T
	keys string
	*Repository
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	t.Parallel() // the time goes into waiting for the disk
	w := &workshop{T: t, keys: filepath.Join(t.TempDir(), "keys")}
	keys, err := sign.NewKeys(w.keys, 2)
	if err != nil {
		t.Fatal(err)
	}
	w.Repository = &Repository{Dir: filepath.Join(t.TempDir(), "repository"), Keys: keys, Now: today, Validity: Defaults}
	if err := Init(w.Repository, 2); err != nil {
		t.Fatal(err)
	}
	return w
}

// reopen reads the keys again, as the next command does.
func (w *workshop) reopen() {
	w.Helper()
	keys, err := sign.OpenKeys(w.keys)
	if err != nil {
		w.Fatal(err)
	}
	w.Repository.Keys = keys
}

// release makes a release folder of the version, created at a second that tells releases of one version apart.
func (w *workshop) release(version string, second int64) string {
	w.Helper()
	dir := w.TempDir()
	if err := imagetest.Write(filepath.Join(dir, "image"), version); err != nil {
		w.Fatal(err)
	}
	out := filepath.Join(dir, "release")
	if _, err := pack.CreateRelease(w.Context(), filepath.Join(dir, "image"), out, nil, time.Unix(second, 0), pack.DeltaOptions{Options: pack.Options{Level: zstd.SpeedFastest}}, quiet); err != nil {
		w.Fatal(err)
	}
	return out
}

func (w *workshop) publish(version string) *Published {
	w.Helper()
	p, err := w.Publish(w.Context(), w.release(version, 1), Order{}, quiet)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func TestPublishMakesTheLayoutOfTheContract(t *testing.T) {
	w := newWorkshop(t)
	dir := w.release("1.1.0", 1)
	if err := os.Chmod(filepath.Join(dir, "conifer_1.1.0.efi"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := w.Publish(t.Context(), dir, Order{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Changed || p.Path != "conifer-os/amd64/1.1.0/release.json" {
		t.Errorf("published %+v", p)
	}
	var files []string
	err = filepath.WalkDir(w.Dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("%s: mode %v (%v)", path, info.Mode(), err)
			}
			files = append(files, strings.TrimPrefix(path, w.Dir+"/"))
		}
		return err
	})
	want := []string{
		"conifer-os/amd64/1.1.0/conifer_1.1.0.efi",
		"conifer-os/amd64/1.1.0/conifer_1.1.0_b60809d9-1082-cb44-df2d-f7def66dfded.root-amd64.raw",
		"conifer-os/amd64/1.1.0/conifer_1.1.0_be53a852-eebf-4528-86ad-5a2aa59c1a23.root-amd64-verity.raw",
		"conifer-os/amd64/1.1.0/full.payload", "conifer-os/amd64/1.1.0/release.json",
		"metadata/1.root.json", "metadata/1.snapshot.json", "metadata/1.targets.json", "metadata/2.snapshot.json", "metadata/2.targets.json", "metadata/timestamp.json",
	}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("files are %q (%v)", files, err)
	}
	text, err := os.ReadFile(filepath.Join(w.Dir, p.Path))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.View.Release(p.Path, text); err != nil {
		t.Error(err)
	}
	if got := p.View.Expires; !got.Equal(today.Add(Defaults.Timestamp)) {
		t.Errorf("in force until %v", got)
	}
}

func TestPublishIsIdempotent(t *testing.T) {
	w := newWorkshop(t)
	dir := w.release("1.1.0", 1)
	if _, err := w.Publish(t.Context(), dir, Order{}, quiet); err != nil {
		t.Fatal(err)
	}
	again, err := w.Publish(t.Context(), dir, Order{}, quiet)
	if err != nil || again.Changed || again.View.TargetsVersion != 2 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestPublishRefuses(t *testing.T) {
	w := newWorkshop(t)
	w.publish("1.1.0")
	damaged := w.release("1.2.0", 1)
	if err := os.WriteFile(filepath.Join(damaged, pack.PayloadFileName), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir string
		from      []string
		kind      fault.Kind
		message   string
	}{
		{"another release of the version", w.release("1.1.0", 2), nil, fault.Conflict, "another release was published under version 1.1.0"},
		{"a damaged file", damaged, nil, fault.Corrupt, "full.payload has digest"},
		{"no release", t.TempDir(), nil, fault.NotFound, "no release folder"},
		{"an upgrade as downgrade", w.release("1.3.0", 1), []string{"1.3.0"}, fault.Invalid, "no downgrade"},
	} {
		_, err := w.Publish(t.Context(), c.dir, Order{DowngradeFrom: c.from}, quiet)
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	view, err := w.Check(today)
	if err != nil || len(view.Paths()) != 1 {
		t.Errorf("afterwards: %v, %v", view, err)
	}
}

func TestPublishMendsAHalfPlacedRelease(t *testing.T) {
	w := newWorkshop(t)
	half := filepath.Join(w.Dir, "conifer-os", "amd64", "1.1.0", pack.PayloadFileName)
	if err := os.MkdirAll(filepath.Dir(half), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(half, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := w.publish("1.1.0")
	if sum, err := pack.Digest(t.Context(), half, func(int64) {}); err != nil || sum != p.Release.Payload.SHA256 {
		t.Errorf("payload has digest %s (%v)", sum, err)
	}
}

func TestPermissionToDowngradeAddsUp(t *testing.T) {
	w := newWorkshop(t)
	dir := w.release("1.1.0", 1)
	for _, from := range [][]string{nil, {"1.2.0"}, {"1.2.0"}, {"1.3.0"}} {
		if _, err := w.Publish(t.Context(), dir, Order{DowngradeFrom: from}, quiet); err != nil {
			t.Fatal(err)
		}
	}
	view, err := w.Check(today)
	if err != nil {
		t.Fatal(err)
	}
	target, err := view.Target("conifer-os/amd64/1.1.0/release.json")
	if err != nil || !slices.Equal(target.Custom.DowngradeFrom, []string{"1.2.0", "1.3.0"}) || view.TargetsVersion != 4 {
		t.Errorf("custom %v, targets version %d (%v)", target.Custom, view.TargetsVersion, err)
	}
	if err := trust.Admit(&release.Release{Version: "1.1.0"}, "1.3.0", target.Custom); err != nil {
		t.Error(err)
	}
}

func TestInitRefuses(t *testing.T) {
	w := newWorkshop(t)
	if err := Init(w.Repository, 1); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second time: got %v", err)
	}
	for _, threshold := range []int{0, 3} {
		r := *w.Repository
		r.Dir = t.TempDir()
		if err := Init(&r, threshold); !fault.Is(err, fault.Invalid) {
			t.Errorf("threshold %d of 2: got %v", threshold, err)
		}
	}
	r := *w.Repository
	r.Dir, r.Keys = t.TempDir(), r.Keys[:3]
	if err := Init(&r, 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("without online keys: got %v", err)
	}
	if left, _ := os.ReadDir(r.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRefreshNeedsOnlyOnlineKeysAndMendsExpiry(t *testing.T) {
	w := newWorkshop(t)
	w.publish("1.1.0")
	all := w.Repository.Keys
	w.Repository.Keys = slices.DeleteFunc(slices.Clone(all), func(k sign.Key) bool { return k.Role == "root" || k.Role == "targets" })
	w.Now = today.AddDate(0, 0, 60)
	if _, err := w.Check(w.Now); !fault.Is(err, fault.Expired) {
		t.Fatalf("after two months: got %v", err)
	}
	view, err := w.Refresh(false, false)
	if err != nil || view.SnapshotVersion != 3 || view.TargetsVersion != 2 {
		t.Fatalf("refreshed: %+v, %v", view, err)
	}
	w.Now = today.AddDate(2, 0, 0)
	if _, err := w.Refresh(true, true); !fault.Is(err, fault.NotFound) {
		t.Errorf("offline roles without their keys: got %v", err)
	}
	w.Repository.Keys = all
	view, err = w.Refresh(true, true)
	if err != nil || view.RootVersion != 2 || view.TargetsVersion != 3 {
		t.Errorf("all refreshed: %+v, %v", view, err)
	}
}

func TestRotateEveryRole(t *testing.T) {
	w := newWorkshop(t)
	w.publish("1.1.0")
	for i, role := range sign.Roles {
		view, err := w.Rotate(w.keys, role)
		if err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		if view.RootVersion != int64(i+2) {
			t.Errorf("%s: root version is %d", role, view.RootVersion)
		}
		w.reopen()
	}
	p := w.publish("1.2.0")
	if len(p.View.Paths()) != 2 {
		t.Errorf("targets are %v", p.View.Paths())
	}
	retired, err := os.ReadDir(filepath.Join(w.keys, RetiredFolder))
	if err != nil || len(retired) != 5 {
		t.Errorf("retired keys: %v (%v)", retired, err)
	}
	if _, err := w.Rotate(w.keys, "mirror"); !fault.Is(err, fault.Invalid) {
		t.Errorf("unknown role: got %v", err)
	}
}

func TestRotateReplacesALostKey(t *testing.T) {
	w := newWorkshop(t)
	for _, k := range w.Repository.Keys {
		if k.Role == "targets" {
			if err := os.Remove(k.Path); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.reopen()
	if _, err := w.Publish(t.Context(), w.release("1.1.0", 1), Order{}, quiet); !fault.Is(err, fault.NotFound) {
		t.Fatalf("without the targets key: got %v", err)
	}
	if _, err := w.Rotate(w.keys, "targets"); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	w.publish("1.1.0")
}

func TestALostRootKeyStopsBelowTheThreshold(t *testing.T) {
	w := newWorkshop(t)
	if err := os.Remove(w.Repository.Keys[0].Path); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if _, err := w.Rotate(w.keys, "root"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "1 of the 2 root keys") {
		t.Errorf("got %v", err)
	}
}
