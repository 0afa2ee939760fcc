package pack

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/fault"
)

// unpacked is an image of package diff's tests, unpacked.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("../diff/testdata", name+".img.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, t.TempDir(), name, b)
}

func sumOf(files []FileCost) (data int64) {
	for _, f := range files {
		data += f.DataSizeBytes
	}
	return data
}

// Every byte of the data is somebody's, and what did not change costs next to nothing.
func TestReportOfADelta(t *testing.T) {
	old, new := []Source{{"root", unpacked(t, "old")}}, []Source{{"root", unpacked(t, "new")}}
	out := filepath.Join(t.TempDir(), "p")
	o := deltaOptions()
	o.Report = true
	made, err := MakeDelta(t.Context(), old, new, out, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReport(out, made.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if r.DataSizeBytes != made.SizeBytes-made.ManifestSizeBytes || sumOf(r.Files) != r.DataSizeBytes {
		t.Errorf("the files cost %d, the report says %d, the payload has %d bytes of data", sumOf(r.Files), r.DataSizeBytes, made.SizeBytes-made.ManifestSizeBytes)
	}
	renamed := slices.IndexFunc(r.Files, func(f FileCost) bool { return f.Old != "" })
	if r.From != "1.0.0" || r.Version != "1.1.0" || renamed < 0 || r.Files[renamed].Path != "usr/lib/modules/6.12.107/one.ko" {
		t.Errorf("the report is %+v", r)
	}
	for i := 1; i < len(r.Files); i++ {
		if r.Files[i].DataSizeBytes > r.Files[i-1].DataSizeBytes {
			t.Errorf("%s is after %s, which costs less", r.Files[i].Path, r.Files[i-1].Path)
		}
	}
}

// The report of a full payload is about all files, and one of a file that is no image about the target.
func TestReportOfAFullPayload(t *testing.T) {
	out := filepath.Join(t.TempDir(), "p")
	kernel := write(t, t.TempDir(), "kernel", imagetest.Noise("kernel", 5000))
	o := Options{App: "a", Arch: "b", Version: "1", Report: true}
	made, err := Make(t.Context(), []Source{{"root", unpacked(t, "new")}, {"uki", kernel}}, out, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReport(out, made.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if sumOf(r.Files) != made.SizeBytes-made.ManifestSizeBytes {
		t.Errorf("the files cost %d of %d", sumOf(r.Files), made.SizeBytes-made.ManifestSizeBytes)
	}
	var kernels []FileCost
	for _, f := range r.Files {
		if f.Target == "uki" {
			kernels = append(kernels, f)
		}
	}
	if diff := cmp.Diff([]FileCost{{Target: "uki", SizeBytes: 5000, DataSizeBytes: 5000}}, kernels); diff != "" {
		t.Error(diff)
	}
}

func TestReadReportRefusesOthers(t *testing.T) {
	out := write(t, t.TempDir(), "p", nil)
	if _, err := ReadReport(out, "ab"); !fault.Is(err, fault.NotFound) {
		t.Errorf("none: got %v", err)
	}
	for _, text := range []string{"no JSON", `{"sha256": "cd"}`} {
		write(t, filepath.Dir(out), "p.json", []byte(text))
		if _, err := ReadReport(out, "ab"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// A cost is shared by the bytes of each file that it wrote.
func TestShare(t *testing.T) {
	held := []held{{0, 100, 1}, {150, 200, 2}, {200, 400, 3}}
	shares := map[int]float64{}
	for _, p := range []cost{{0, 50, 10}, {50, 150, 30}, {200, 200, 7}} {
		held = share(p, held, shares)
	}
	if diff := cmp.Diff(map[int]float64{1: 20, 2: 10, 3: 7}, shares); diff != "" {
		t.Error(diff)
	}
}
