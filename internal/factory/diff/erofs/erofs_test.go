package erofs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

// image is one that mkfs.erofs made of the tree of wantTree.
func image(t testing.TB, name string) []byte {
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

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// wantTree is what the files and links of the images hold; one of the hard links usr/tool and usr/twin is enough.
func wantTree() map[string]string {
	want := map[string]string{
		"etc/hosts": "127.0.0.1 localhost\n", "etc/empty": "", "etc/tool": "../usr/tool", "usr/tool": lines(0, 1000),
		"usr/lib/modules/6.12.107/one.ko": lines(2000, 3000), "usr/lib/block": lines(0, 1000)[:4096],
	}
	for i := range 60 { // a folder of two blocks
		want[fmt.Sprintf("names/a-rather-long-name-that-fills-the-folder-with-others-%d", i)] = "nowhere"
	}
	return want
}

// The content of every file is where the nodes say, in images with flat and with chunked files.
func TestRead(t *testing.T) {
	for _, name := range []string{"flat", "chunks"} {
		t.Run(name, func(t *testing.T) {
			b := image(t, name)
			nodes, err := Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			folders := 0
			for _, n := range nodes {
				if n.Type.IsDir() {
					folders++
					continue
				}
				content := ""
				for _, e := range n.Content {
					content += string(b[e.Offset:e.End()])
				}
				got[strings.Replace(n.Path, "twin", "tool", 1)] = content[:n.SizeBytes]
			}
			if diff := cmp.Diff(wantTree(), got); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if folders != 7 {
				t.Errorf("%d folders, want 7", folders)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	for mode, want := range map[uint16]fs.FileMode{0o40755: fs.ModeDir, 0o100644: 0, 0o120777: fs.ModeSymlink, 0o20600: fs.ModeIrregular} {
		if got := fileType(mode); got != want {
			t.Errorf("type of mode %o is %v, want %v", mode, got, want)
		}
	}
}

func TestOtherFilesAreRefused(t *testing.T) {
	other := image(t, "flat")
	other[superblockOffset+80] |= 1
	for name, b := range map[string][]byte{"zeros": make([]byte, 8192), "compressed": other} {
		if _, err := Read(bytes.NewReader(b), int64(len(b))); !fault.Is(err, fault.Unsupported) {
			t.Errorf("%s: %v, want it unsupported", name, err)
		}
	}
	if _, err := Read(bytes.NewReader(nil), 0); !fault.Is(err, fault.Corrupt) {
		t.Errorf("nothing: %v, want it corrupt", err)
	}
}

// A broken image ends in an error of the two kinds, or in nodes whose parts lie in it. What is drawn are the places and the bytes
// that are wrong in a good one.
func FuzzRead(f *testing.F) {
	images := [][]byte{image(f, "flat"), image(f, "chunks")}
	for which, b := range images {
		root := le.Uint16(b[superblockOffset+14:]) * compactBytes
		f.Add([]byte{byte(which)})
		f.Add([]byte{byte(which), byte(root), byte(root >> 8), layoutChunks << 1})
		f.Add([]byte{byte(which), byte(root + 10), byte((root + 10) >> 8), 255})
	}
	f.Fuzz(func(t *testing.T, wrong []byte) {
		if len(wrong) == 0 {
			return
		}
		b := bytes.Clone(images[int(wrong[0])%len(images)])
		for wrong = wrong[1:]; len(wrong) >= 3; wrong = wrong[3:] {
			b[int(le.Uint16(wrong))%len(b)] = wrong[2]
		}
		nodes, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil && !fault.Is(err, fault.Corrupt) && !fault.Is(err, fault.Unsupported) {
			t.Fatal(err)
		}
		for _, n := range nodes {
			for _, e := range append(n.Content, n.Inode) {
				if e.Offset < 0 || e.SizeBytes < 0 || e.End() > int64(len(b)) {
					t.Errorf("%q lies at %v in %d bytes", n.Path, e, len(b))
				}
			}
		}
	})
}
