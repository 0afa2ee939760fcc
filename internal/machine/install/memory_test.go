package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/slots/gpttest"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/memory"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// maxResidentBytes is the promise of the project's description, for the whole process.
const maxResidentBytes = 64 << 20

// bigBytes is the size of the root: larger than the promise, so that nothing that holds an image can keep it.
const (
	bigBytes    = 80 << 20
	bigUKIBytes = 8 << 20
)

// job is what a process is told to install, in the file job.json of its folder.
type job struct {
	Release release.Release
	Delta   *release.Delta // nil for the full payload
	Payload string         // file
}

const jobVariable = "CONIFER_TEST_INSTALL"

// TestMain becomes a process that does nothing but install when it is told to, so that its memory is that of an installation.
func TestMain(m *testing.M) {
	dir := os.Getenv(jobVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	debug.SetMemoryLimit(memory.LimitBytes)
	if err := installJob(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Stdout.Write(status)
}

func installJob(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "job.json"))
	if err != nil {
		return err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	in, err := installerIn(dir)
	if err != nil {
		return err
	}
	src := fileSource(filepath.Join(dir, j.Payload))
	if j.Delta != nil {
		return in.RunDelta(context.Background(), &j.Release, j.Delta, src)
	}
	return in.Run(context.Background(), &j.Release, src)
}

// installerIn opens the machine whose devices are files.
func installerIn(dir string) (*install.Installer, error) {
	part := func(number, flag int) (slots.Device, error) {
		return slots.OpenBlock(filepath.Join(dir, strconv.Itoa(number)), flag)
	}
	disk, err := slots.OpenBlock(filepath.Join(dir, "disk"), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	esp, err := folder.OpenDir(filepath.Join(dir, "esp"))
	if err != nil {
		return nil, err
	}
	state, err := folder.OpenDir(filepath.Join(dir, "state"))
	if err != nil {
		return nil, err
	}
	s, err := slots.Open(disk, part, esp, bigHash)
	return &install.Installer{Slots: s, State: state}, err
}

// bigHash stands for the root hash of the running release.
var bigHash = strings.Repeat("7e", 32)

type fileSource string

func (f fileSource) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	_, err = file.Seek(offset, io.SeekStart)
	return file, err
}

// TestAnInstallationStaysInItsMemory looks at what the kernel says that a process had at most. The delta has a file of very many
// pieces, the full payload the largest operations that there are.
func TestAnInstallationStaysInItsMemory(t *testing.T) {
	b := newBig(t)
	full := b.full() // completes the description of the release
	for name, j := range map[string]job{"full": full, "delta": b.delta()} {
		b.write(j)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), jobVariable+"="+b.dir)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		status, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, complaints.String())
		}
		peak := residentBytes(t, string(status))
		t.Logf("%s: %.1f MiB at most", name, float64(peak)/(1<<20))
		if peak > maxResidentBytes {
			t.Errorf("%s: %d bytes of memory, want at most %d", name, peak, maxResidentBytes)
		}
		b.check()
	}
}

// residentBytes is the line VmHWM of proc_pid_status(5).
func residentBytes(t *testing.T, status string) int64 {
	t.Helper()
	_, rest, _ := strings.Cut(status, "VmHWM:")
	var kib int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		t.Fatalf("%v in %q", err, status)
	}
	return kib << 10
}

// big is a machine whose devices are files, and a release for it.
type big struct {
	t                     *testing.T
	dir                   string
	from, to              []byte // roots
	fromUKI, toUKI        []byte
	pieces, fresh, filled int // where the parts of the new root end
	rel                   release.Release
}

func newBig(t *testing.T) *big {
	t.Helper()
	b := &big{t: t, dir: t.TempDir(), from: make([]byte, bigBytes), to: make([]byte, bigBytes), fromUKI: make([]byte, bigUKIBytes)}
	noise := rand.NewChaCha8([32]byte{1})
	noise.Read(b.from)
	noise.Read(b.fromUKI)
	// The new root is small pieces of the old one in another order, then something new, then text that shrinks.
	b.pieces, b.fresh, b.filled = pieceCount*pieceBytes, pieceCount*pieceBytes+2<<20, bigBytes
	for i := range pieceCount {
		copy(b.to[i*pieceBytes:], b.from[pieceFrom(i):][:pieceBytes])
	}
	noise.Read(b.to[b.pieces:b.fresh])
	for at := b.fresh; at < b.filled; at += 16 {
		copy(b.to[at:], fmt.Sprintf("%015d\n", at))
	}
	b.toUKI = bytes.Clone(b.fromUKI)
	for at := 0; at < len(b.toUKI); at += 10_000 {
		b.toUKI[at]++
	}
	b.describe()
	return b
}

// The pieces of a file of 32 MiB whose every part has moved.
const (
	pieceCount = 1 << 17
	pieceBytes = 256
)

// pieceFrom goes ascending through the old root in two streams.
func pieceFrom(i int) int { return i%2*(bigBytes/2) + i/2*pieceBytes + i/2%7 }

// describe makes the release but for its payload.
func (b *big) describe() {
	builder, err := verity.NewBuilder(bigBytes/verity.BlockSize, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := builder.Add(0, b.to); err != nil {
		b.t.Fatal(err)
	}
	tree, err := builder.Finish()
	if err != nil {
		b.t.Fatal(err)
	}
	b.rel = release.Release{
		Format: release.Format, App: "conifer-os", Version: "1.2.0", Arch: "amd64", Created: time.Unix(1, 0).UTC(),
		Root:      release.Root{Hash: hex.EncodeToString(tree.Root[:]), SizeBytes: bigBytes},
		Artifacts: []release.Artifact{{Name: "conifer_1.2.0.efi", Kind: release.KindUKI, SizeBytes: bigUKIBytes, SHA256: sum(b.toUKI)}},
	}
}

// delta has three operations of kind delta and some in full.
func (b *big) delta() job {
	pieces := delta.Region{SizeBytes: int64(b.pieces), Exact: true}
	for i := range pieceCount {
		pieces.Pieces = append(pieces.Pieces, delta.Piece{From: int64(pieceFrom(i)), SizeBytes: pieceBytes})
	}
	fresh := delta.Region{SizeBytes: int64(b.fresh - b.pieces), Pieces: []delta.Piece{{From: delta.New, SizeBytes: int64(b.fresh - b.pieces)}}}
	uki := delta.Region{SizeBytes: bigUKIBytes, Pieces: []delta.Piece{{From: 0, SizeBytes: bigUKIBytes}}}
	p := &packing{t: b.t}
	root := payload.Target{Name: payload.TargetRoot, SizeBytes: bigBytes, Ops: []payload.Op{
		p.delta(pieces, b.from, b.to[:b.pieces]), p.delta(fresh, b.from, b.to[b.pieces:b.fresh]),
	}}
	root.Ops = append(root.Ops, p.whole(b.to[b.fresh:])...)
	m := &payload.Manifest{App: b.rel.App, Arch: b.rel.Arch, Version: b.rel.Version, From: "1.1.0", Features: []string{payload.FeatureDelta}, Targets: []payload.Target{
		root, {Name: payload.TargetUKI, SizeBytes: bigUKIBytes, Ops: []payload.Op{p.delta(uki, b.fromUKI, b.toUKI)}},
	}}
	d := &bootsim.Delta{Delta: &release.Delta{From: "1.1.0", Features: m.Features}}
	if err := d.Seal(m, p.data); err != nil {
		b.t.Fatal(err)
	}
	b.put("delta.payload", d.Bytes)
	return job{b.rel, d.Delta, "delta.payload"}
}

func (b *big) full() job {
	p := &packing{t: b.t}
	m := &payload.Manifest{App: b.rel.App, Arch: b.rel.Arch, Version: b.rel.Version, Features: []string{}, Targets: []payload.Target{
		{Name: payload.TargetRoot, SizeBytes: bigBytes, Ops: p.whole(b.to)}, {Name: payload.TargetUKI, SizeBytes: bigUKIBytes, Ops: p.whole(b.toUKI)},
	}}
	r := &bootsim.Release{Release: &b.rel}
	if err := r.Seal(m, p.data); err != nil {
		b.t.Fatal(err)
	}
	b.put("full.payload", r.Payload)
	return job{b.rel, nil, "full.payload"}
}

// packing makes operations and collects their data.
type packing struct {
	t    *testing.T
	data []byte
}

func (p *packing) delta(r delta.Region, from, to []byte) payload.Op {
	p.t.Helper()
	plan := &delta.Plan{OldSizeBytes: int64(len(from)), SizeBytes: r.SizeBytes, Regions: []delta.Region{r}}
	op, data, err := bootsim.DeltaOp(plan, from, to)
	if err != nil {
		p.t.Fatal(err)
	}
	p.data = append(p.data, data...)
	return op
}

// whole makes the largest operations that there are.
func (p *packing) whole(content []byte) (ops []payload.Op) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		p.t.Fatal(err)
	}
	defer z.Close()
	for at := 0; at < len(content); at += payload.MaxOpSizeBytes {
		piece := content[at:min(len(content), at+payload.MaxOpSizeBytes)]
		op := payload.Op{Kind: payload.KindZstd, SizeBytes: int64(len(piece)), SHA256: sum(piece)}
		data := z.EncodeAll(piece, nil)
		if len(data) >= len(piece) {
			op.Kind, data = payload.KindRaw, piece
		}
		op.DataSizeBytes, op.DataSHA256 = int64(len(data)), sum(data)
		ops, p.data = append(ops, op), append(p.data, data...)
	}
	return ops
}

func (b *big) put(name string, content []byte) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

// write makes the files of a machine that runs 1.1.0 from slot B.
func (b *big) write(j job) {
	b.t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		b.t.Fatal(err)
	}
	super, err := verity.Superblock{DataBlocks: bigBytes / verity.BlockSize}.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	treeBytes := verity.HashSize(bigBytes / verity.BlockSize)
	tree := make([]byte, treeBytes)
	copy(tree, super)
	hash, err := slots.ParseRootHash(bigHash)
	if err != nil {
		b.t.Fatal(err)
	}
	root, verityUUID := slots.UUIDs(hash)
	b.put("job.json", text)
	b.disk(treeBytes, root.String(), verityUUID.String())
	b.zeros("2", bigBytes)
	b.zeros("3", treeBytes)
	b.put("4", b.from)
	b.put("5", tree)
	b.put("state/.keep", nil)
	b.put("esp/conifer_1.1.0.efi", b.fromUKI)
	b.put("esp/conifer_1.2.0+3.efi", nil)
}

// zeros makes a file of zeros that takes no room.
func (b *big) zeros(name string, sizeBytes int64) {
	b.t.Helper()
	b.put(name, nil)
	if err := os.Truncate(filepath.Join(b.dir, name), sizeBytes); err != nil {
		b.t.Fatal(err)
	}
}

// disk makes the disk as far as the partition table is concerned.
func (b *big) disk(treeBytes int64, rootUUID, treeUUID string) {
	rows := []gpttest.Partition{
		{Type: gpttest.ESP, Name: "esp", Unique: "00000000-0000-0000-0000-000000000001"},
		{Type: gpttest.Root, Name: slots.EmptyLabel, Unique: "00000000-0000-0000-0000-00000000000a"},
		{Type: gpttest.Verity, Name: slots.EmptyLabel, Unique: "00000000-0000-0000-0000-00000000000b"},
		{Type: gpttest.Root, Name: "conifer_1.1.0", Unique: rootUUID},
		{Type: gpttest.Verity, Name: "conifer_1.1.0", Unique: treeUUID},
	}
	at := uint64(64)
	for i, size := range []int64{512, bigBytes, treeBytes, bigBytes, treeBytes} {
		rows[i].First, rows[i].Last = at, at+uint64(size/512)-1
		at = rows[i].Last + 1
	}
	disk := make([]byte, (at+40)*512)
	gpttest.Write(disk, 512, rows)
	b.zeros("disk", int64(len(disk)))
	file, err := os.OpenFile(filepath.Join(b.dir, "disk"), os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	tail := len(disk) - 40*512
	_, headErr := file.WriteAt(disk[:64*512], 0)
	_, tailErr := file.WriteAt(disk[tail:], int64(tail))
	if err := errors.Join(headErr, tailErr, file.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// check demands that the slot and the boot entry are those of the new release.
func (b *big) check() {
	b.t.Helper()
	hash, err := slots.ParseRootHash(b.rel.Root.Hash)
	if err != nil {
		b.t.Fatal(err)
	}
	root, err := slots.OpenBlock(filepath.Join(b.dir, "2"), os.O_RDONLY)
	if err != nil {
		b.t.Fatal(err)
	}
	defer root.Close()
	tree, err := slots.OpenBlock(filepath.Join(b.dir, "3"), os.O_RDONLY)
	if err != nil {
		b.t.Fatal(err)
	}
	defer tree.Close()
	if err := verity.Verify(root, tree, hash); err != nil {
		b.t.Error(err)
	}
	uki, err := os.ReadFile(filepath.Join(b.dir, "esp/conifer_1.2.0+3.efi"))
	if err != nil || sha256.Sum256(uki) != sha256.Sum256(b.toUKI) {
		b.t.Errorf("UKI of %d bytes, %v", len(uki), err)
	}
}
