package verity

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

var testSalt = bytes.Repeat([]byte{0x5a, 0x01}, 16)

// sizes are the edges of the tree: no level, one full level, and the first block of the next level.
var sizes = []int64{1, 2, 127, 128, 129, 1000, 16384, 16384 + 1}

// file is a partition in memory.
type file struct{ b []byte }

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(f.b) {
		f.b = append(f.b, make([]byte, end-len(f.b))...)
	}
	return copy(f.b[off:], p), nil
}

func randomBlocks(seed uint64, blocks int64) []byte {
	data := make([]byte, blocks*BlockSize)
	src := rand.NewChaCha8([32]byte{byte(seed)})
	src.Read(data)
	return data
}

func build(t testing.TB, data, salt []byte) (*Tree, []byte) {
	t.Helper()
	b, err := NewBuilder(int64(len(data)/BlockSize), salt)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(0, data); err != nil {
		t.Fatal(err)
	}
	tree, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var out file
	if err := tree.WriteTree(&out, UUIDFromRoot(tree.Root)); err != nil {
		t.Fatal(err)
	}
	return tree, out.b
}

// TestTreeIsWhatVeritysetupWrites holds the tree against the tool the world uses.
func TestTreeIsWhatVeritysetupWrites(t *testing.T) {
	tool, err := exec.LookPath("veritysetup")
	if err != nil {
		if tool, err = exec.LookPath("/usr/sbin/veritysetup"); err != nil {
			t.Fatalf("veritysetup is needed (Debian package cryptsetup-bin): %v", err)
		}
	}
	for _, blocks := range sizes {
		data := randomBlocks(uint64(blocks), blocks)
		for _, salt := range [][]byte{testSalt, nil, bytes.Repeat([]byte{7}, 256)} {
			if len(salt) != 32 && blocks > 200 {
				continue
			}
			tree, got := build(t, data, salt)
			root, want := veritysetup(t, tool, data, salt, UUIDFromRoot(tree.Root))
			if root != hex.EncodeToString(tree.Root[:]) {
				t.Errorf("%d blocks, salt of %d bytes: root hash %x, veritysetup says %s", blocks, len(salt), tree.Root, root)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d blocks, salt of %d bytes: the tree differs from veritysetup's (%d and %d bytes)", blocks, len(salt), len(got), len(want))
			}
			if int64(len(got)) != tree.SizeBytes() {
				t.Errorf("%d blocks: tree has %d bytes, SizeBytes says %d", blocks, len(got), tree.SizeBytes())
			}
		}
	}
}

var rootLine = regexp.MustCompile(`Root hash:\s+([0-9a-f]{64})`)

func veritysetup(t *testing.T, tool string, data, salt []byte, uuid [16]byte) (root string, tree []byte) {
	t.Helper()
	dir := t.TempDir()
	dataFile, hashFile := filepath.Join(dir, "data"), filepath.Join(dir, "hash")
	if err := os.WriteFile(dataFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	saltText := hex.EncodeToString(salt)
	if saltText == "" {
		saltText = "-"
	}
	u := hex.EncodeToString(uuid[:])
	uuidText := strings.Join([]string{u[:8], u[8:12], u[12:16], u[16:20], u[20:]}, "-")
	out, err := exec.Command(tool, "format", "--salt="+saltText, "--uuid="+uuidText, dataFile, hashFile).CombinedOutput()
	match := rootLine.FindSubmatch(out)
	if err != nil || match == nil {
		t.Fatalf("veritysetup: %v\n%s", err, out)
	}
	tree, err = os.ReadFile(hashFile)
	if err != nil {
		t.Fatal(err)
	}
	// The tool writes only the 512 bytes of the superblock, which is the whole file for a single block.
	if len(tree) < BlockSize {
		tree = append(tree, make([]byte, BlockSize-len(tree))...)
	}
	return string(match[1]), tree
}

func TestOrderAndGoroutinesDoNotMatter(t *testing.T) {
	data := randomBlocks(3, 700)
	copy(data[100*BlockSize:], make([]byte, 50*BlockSize))
	want, _ := build(t, data, testSalt)
	b, err := NewBuilder(700, testSalt)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(14) {
		wg.Go(func() {
			first := int64(i) * 50
			if i == 2 {
				if err := b.AddZeros(first, 50); err != nil {
					t.Error(err)
				}
				return
			}
			if err := b.Add(first, data[first*BlockSize:(first+50)*BlockSize]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if got.Root != want.Root {
		t.Errorf("root %x, want %x", got.Root, want.Root)
	}
}

func TestBuilderRefuses(t *testing.T) {
	if _, err := NewBuilder(0, nil); err == nil {
		t.Error("no blocks were accepted")
	}
	if _, err := NewBuilder(1, make([]byte, 257)); err == nil {
		t.Error("a salt of 257 bytes was accepted")
	}
	b, err := NewBuilder(3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		first int64
		bytes int
	}{{-1, BlockSize}, {3, BlockSize}, {2, 2 * BlockSize}, {0, 100}, {1 << 62, BlockSize}} {
		if err := b.Add(bad.first, make([]byte, bad.bytes)); !fault.Is(err, fault.Invalid) {
			t.Errorf("Add(%d, %d bytes) = %v", bad.first, bad.bytes, err)
		}
	}
	if err := b.AddZeros(1, 2); err != nil {
		t.Fatal(err)
	}
	if err := b.AddZeros(1, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(); err == nil || !strings.Contains(err.Error(), "1 of 3") {
		t.Errorf("a missing block: %v", err)
	}
}

func TestVerifyFindsEveryChange(t *testing.T) {
	for _, blocks := range []int64{1, 128, 129} {
		data := randomBlocks(uint64(blocks), blocks)
		tree, hash := build(t, data, testSalt)
		if err := Verify(bytes.NewReader(data), bytes.NewReader(hash), tree.Root); err != nil {
			t.Fatalf("%d blocks: %v", blocks, err)
		}
		for offset := int64(17); offset < int64(len(data)); offset += BlockSize {
			data[offset] ^= 1
			if err := Verify(bytes.NewReader(data), bytes.NewReader(hash), tree.Root); !fault.Is(err, fault.Corrupt) {
				t.Errorf("%d blocks: a flipped bit at byte %d of the data: %v", blocks, offset, err)
			}
			data[offset] ^= 1
		}
		for offset := BlockSize; offset < len(hash); offset += 999 {
			hash[offset] ^= 0x80
			if err := Verify(bytes.NewReader(data), bytes.NewReader(hash), tree.Root); !fault.Is(err, fault.Corrupt) {
				t.Errorf("%d blocks: a flipped bit at byte %d of the tree: %v", blocks, offset, err)
			}
			hash[offset] ^= 0x80
		}
		if err := Verify(bytes.NewReader(data[:len(data)-1]), bytes.NewReader(hash), tree.Root); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%d blocks: short data: %v", blocks, err)
		}
	}
}

func TestReadSuperblockRefuses(t *testing.T) {
	good, err := Superblock{DataBlocks: 5, Salt: testSalt}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		offset int
		value  byte
		kind   fault.Kind
	}{
		{"signature", 0, 'x', fault.Corrupt}, {"version", 8, 2, fault.Unsupported}, {"hash type", 12, 0, fault.Unsupported},
		{"algorithm", 32, 'S', fault.Unsupported}, {"data block size", 65, 2, fault.Unsupported},
		{"hash block size", 69, 2, fault.Unsupported}, {"no data", 72, 0, fault.Corrupt}, {"endless data", 79, 0x80, fault.Corrupt},
		{"long salt", 81, 2, fault.Corrupt},
	}
	for _, c := range cases {
		bad := bytes.Clone(good)
		bad[c.offset] = c.value
		if _, err := ReadSuperblock(bytes.NewReader(bad)); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", c.name, err, c.kind)
		}
	}
	if _, err := ReadSuperblock(bytes.NewReader(good[:511])); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a short superblock: %v", err)
	}
}

func FuzzReadSuperblock(f *testing.F) {
	good, err := Superblock{UUID: [16]byte{1, 2, 3}, DataBlocks: 5, Salt: testSalt}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[:rawSize])
	f.Add(bytes.Repeat([]byte{0xff}, rawSize))
	f.Fuzz(func(t *testing.T, text []byte) {
		sb, err := ReadSuperblock(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := sb.Encode()
		if err != nil {
			t.Fatalf("a superblock that was read does not encode: %v", err)
		}
		back, err := ReadSuperblock(bytes.NewReader(again))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sb, back); diff != "" {
			t.Error(diff)
		}
	})
}

func BenchmarkBuilderAdd(b *testing.B) {
	data := randomBlocks(1, 256)
	builder, err := NewBuilder(256, testSalt)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := builder.Add(0, data); err != nil {
			b.Fatal(err)
		}
	}
}
