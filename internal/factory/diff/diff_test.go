package diff

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/delta"
)

// checkPlans writes and applies all operations, and compares what comes out with the new image.
func checkPlans(t interface{ Fatalf(string, ...any) }, ops []Op, old, now []byte) (sizeBytes int) {
	var got bytes.Buffer
	for _, op := range ops {
		if op.Offset != int64(got.Len()) {
			t.Fatalf("operation at %d, want %d", op.Offset, got.Len())
		}
		data, err := delta.Write(op.Plan, bytes.NewReader(old), bytes.NewReader(now[op.Offset:]))
		if err != nil {
			t.Fatalf("write: %v", err)
		}
		sizeBytes += len(data)
		if err := delta.Apply(&got, bytes.NewReader(old), int64(len(old)), data, op.Plan.SizeBytes); err != nil {
			t.Fatalf("apply: %v", err)
		}
	}
	if !bytes.Equal(got.Bytes(), now) {
		t.Fatalf("the operations make %d bytes that are not the new image of %d", got.Len(), len(now))
	}
	return sizeBytes
}

func image(b []byte) Image { return Image{bytes.NewReader(b), int64(len(b))} }

// Any two byte strings have a delta, whether or not they are images.
func TestFindAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawOld(t)
		now := edited(t, old)
		ops, err := Find(t.Context(), image(old), image(now), Options{Workers: rapid.IntRange(1, 4).Draw(t, "workers")})
		if err != nil {
			t.Fatal(err)
		}
		checkPlans(t, ops, old, now)
	})
}

// openImage reads an image of testdata, made by mkfs.erofs.
func openImage(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".img.gz")
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
	return b
}

// Between the images, one file has changed and moved with its version, one has another name, and one is a copy of another old one.
// The plans name the old file of the one that changed, and are the same for any number of workers.
func TestFindImage(t *testing.T) {
	old, now := openImage(t, "old"), openImage(t, "new")
	var first []Op
	for workers := 1; workers <= 3; workers++ {
		ops, err := Find(t.Context(), image(old), image(now), Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if workers == 1 {
			first = ops
		} else if diff := cmp.Diff(first, ops); diff != "" {
			t.Errorf("plans of 1 and %d workers (-1 +%d):\n%s", workers, workers, diff)
		}
	}
	if size := checkPlans(t, first, old, now); size > 1024 {
		t.Errorf("delta has %d bytes, want at most 1024", size)
	}
	made := map[string]string{}
	for _, op := range first {
		for _, f := range op.Files {
			made[f.Path] = f.Old
		}
	}
	want := map[string]string{"usr/lib/modules/6.12.107/one.ko": "usr/lib/modules/6.12.99/one.ko"}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("changed files and what they are made from (-want +got):\n%s", diff)
	}
}
