package gpt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/slots/gpttest"
)

// memory is a disk in memory that counts its syncs.
type memory struct {
	b     []byte
	syncs int
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	return copy(m.b[off:], p), nil
}
func (m *memory) Sync() error { m.syncs++; return nil }

var sample = []gpttest.Partition{
	{Type: gpttest.ESP, Unique: "00000000-0000-0000-0000-000000000001", Name: "esp", First: 40, Last: 99},
	{Type: gpttest.Root, Unique: "aabbccdd-eeff-0011-2233-445566778899", Name: "conifer_1.0.0", First: 104, Last: 199},
	{},
	{Type: gpttest.Var, Unique: "00000000-0000-0000-0000-000000000003", Name: "ü😀", First: 200, Last: 300},
}

const sampleSize = 512 * 4096

func sampleDisk(sectorSize int) *memory {
	m := &memory{b: make([]byte, sampleSize)}
	gpttest.Write(m.b, sectorSize, sample)
	return m
}

func mustRead(t testing.TB, m *memory) *Table {
	t.Helper()
	table, err := Read(m, int64(len(m.b)))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestReadFindsWhatWasWritten(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		table := mustRead(t, sampleDisk(sectorSize))
		for i, want := range sample {
			e := table.Entries[i]
			if want.Type == "" {
				if e.Used() {
					t.Errorf("place %d is used", i+1)
				}
				continue
			}
			got := gpttest.Partition{Type: e.Type.String(), Unique: e.Unique.String(), Name: e.Name(), First: e.FirstLBA, Last: e.LastLBA}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		if primary, backup := table.Whole(); !primary || !backup || table.SectorSize != int64(sectorSize) {
			t.Errorf("whole: %v %v, sectors of %d", primary, backup, table.SectorSize)
		}
	}
}

// places of the copies on a disk of 512-byte sectors.
var (
	primaryBytes = []int{512, 512 + 91, 1024, 1024 + 16383}
	backupBytes  = []int{sampleSize - 512, sampleSize - 512 + 20, sampleSize - 512 - 16384, sampleSize - 513}
)

func TestOneDamagedCopyIsReadRoundAndRepaired(t *testing.T) {
	good := sampleDisk(512)
	for _, at := range append(primaryBytes, backupBytes...) {
		m := sampleDisk(512)
		m.b[at] ^= 0x40
		table := mustRead(t, m)
		if diff := cmp.Diff(mustRead(t, good).Entries, table.Entries, cmp.AllowUnexported(Entry{})); diff != "" {
			t.Errorf("byte %d: %s", at, diff)
		}
		if primary, backup := table.Whole(); primary == backup {
			t.Errorf("byte %d: whole: %v %v", at, primary, backup)
		}
		repaired, err := table.Repair(m)
		if err != nil || !repaired || !bytes.Equal(m.b, good.b) {
			t.Errorf("byte %d: repaired %v, %v, equal %v", at, repaired, err, bytes.Equal(m.b, good.b))
		}
		if again, err := mustRead(t, m).Repair(m); again || err != nil {
			t.Errorf("byte %d: a whole table was repaired (%v)", at, err)
		}
	}
}

func TestTwoDamagedCopiesAreRefused(t *testing.T) {
	for _, at := range primaryBytes {
		for _, also := range backupBytes {
			m := sampleDisk(512)
			m.b[at] ^= 1
			m.b[also] ^= 1
			if _, err := Read(m, sampleSize); !fault.Is(err, fault.Corrupt) {
				t.Errorf("bytes %d and %d: %v", at, also, err)
			}
		}
	}
}

func rename(t testing.TB, table *Table, number int, name string, unique GUID) {
	t.Helper()
	if err := table.Entries[number-1].SetName(name); err != nil {
		t.Fatal(err)
	}
	table.Entries[number-1].Unique = unique
}

func TestWriteKeepsAWholeCopyAtAnyTime(t *testing.T) {
	for _, damage := range []int{-1, primaryBytes[0], backupBytes[0]} {
		m := sampleDisk(512)
		if damage >= 0 {
			m.b[damage] ^= 1
		}
		table := mustRead(t, m)
		rename(t, table, 2, "conifer_1.1.0", GUID{1, 2, 3})
		seen := &watcher{memory: m, t: t}
		if err := table.Write(seen); err != nil {
			t.Fatal(err)
		}
		got := mustRead(t, m)
		if primary, backup := got.Whole(); !primary || !backup || got.Entries[1].Name() != "conifer_1.1.0" {
			t.Errorf("whole: %v %v, name %q", primary, backup, got.Entries[1].Name())
		}
		if seen.writes != 4 || m.syncs != 2 {
			t.Errorf("%d writes and %d syncs, want 4 and 2", seen.writes, m.syncs)
		}
	}
}

// watcher tears every write after half of it and checks that the disk still has a table.
type watcher struct {
	*memory
	t      *testing.T
	writes int
}

func (w *watcher) WriteAt(p []byte, off int64) (int, error) {
	w.writes++
	before := bytes.Clone(w.b[off : off+int64(len(p))])
	for _, part := range []int{0, 1, 50, len(p) / 2, len(p)} {
		copy(w.b[off:], p[:part])
		if _, err := Read(w.memory, sampleSize); err != nil {
			w.t.Errorf("after %d of %d bytes at %d: %v", part, len(p), off, err)
		}
		copy(w.b[off:], before)
	}
	return w.memory.WriteAt(p, off)
}

// TestToolsOfTheWorldAgree changes tables that sgdisk made, and has sgdisk and sfdisk check the result.
func TestToolsOfTheWorldAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "sgdisk", "-n", "1:2048:4095", "-t", "1:"+gpttest.ESP, "-c", "1:esp", "-n", "2:4096:8191", "-t", "2:"+gpttest.Root, "-c", "2:_empty", path)
	m := &memory{}
	var err error
	if m.b, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	compareWithSfdisk(t, path, mustRead(t, m))
	table := mustRead(t, m)
	unique := must("00010203-0405-0607-0809-0a0b0c0d0e0f")
	rename(t, table, 2, "conifer_1.1.0", unique)
	if err := table.Write(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, m.b, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "sgdisk", "--verify", path); !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk --verify: %s", out)
	}
	compareWithSfdisk(t, path, table)
}

func compareWithSfdisk(t *testing.T, path string, table *Table) {
	t.Helper()
	var dump struct {
		PartitionTable struct {
			ID         string
			Partitions []struct {
				Start, Size      uint64
				Type, UUID, Name string
			}
		}
	}
	if err := json.Unmarshal(run(t, "sfdisk", "-J", path), &dump); err != nil {
		t.Fatal(err)
	}
	if !strings.EqualFold(dump.PartitionTable.ID, table.DiskGUID.String()) {
		t.Errorf("disk %s, sfdisk says %s", table.DiskGUID, dump.PartitionTable.ID)
	}
	if len(dump.PartitionTable.Partitions) != 2 {
		t.Fatalf("sfdisk sees %d partitions", len(dump.PartitionTable.Partitions))
	}
	for i, p := range dump.PartitionTable.Partitions {
		e := table.Entries[i]
		got := []any{e.FirstLBA, e.LastLBA - e.FirstLBA + 1, strings.ToUpper(e.Type.String()), strings.ToUpper(e.Unique.String()), e.Name()}
		if diff := cmp.Diff([]any{p.Start, p.Size, p.Type, p.UUID, p.Name}, got); diff != "" {
			t.Errorf("partition %d: %s", i+1, diff)
		}
	}
}

// run calls a tool from the Debian packages gdisk and fdisk, which lie in /usr/sbin.
func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	if found, err := exec.LookPath(name); err == nil {
		name = found
	} else {
		name = "/usr/sbin/" + name
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s (Debian packages gdisk and fdisk): %v\n%s", name, err, out)
	}
	return out
}

func TestReadRefusesNumbersThatLeaveTheDisk(t *testing.T) {
	put64 := func(at int, v uint64) func(h []byte) {
		return func(h []byte) { binary.LittleEndian.PutUint64(h[at:], v) }
	}
	put32 := func(at int, v uint32) func(h []byte) {
		return func(h []byte) { binary.LittleEndian.PutUint32(h[at:], v) }
	}
	cases := map[string]func(h []byte){
		"my lba": put64(24, 2), "alternate beyond": put64(32, 1<<40), "alternate is me": put64(32, 1),
		"usable beyond": put64(48, 1<<50), "usable reversed": put64(40, 1<<11), "usable over header": put64(40, 1),
		"entries beyond": put64(72, 1<<63), "entries over header": put64(72, 1), "entries inside": put64(72, 600),
		"no entries": put32(80, 0), "many entries": put32(80, 1<<30), "entry size": put32(84, 256), "revision": put32(8, 2), "header size": put32(12, 4096),
		"usable ends before the partitions": put64(48, 250),
	}
	for name, change := range cases {
		m := sampleDisk(512)
		h := m.b[512 : 512+92]
		change(h)
		sealHeader(h)
		m.b[sampleSize-512] ^= 1 // no way round through the backup
		if table, err := Read(m, sampleSize); err == nil {
			t.Errorf("%s: accepted: %+v", name, table.primary.header)
		}
	}
}

func sealHeader(h []byte) {
	binary.LittleEndian.PutUint32(h[16:], 0)
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
}

func TestOverlappingPartitionsAreRefused(t *testing.T) {
	m := &memory{b: make([]byte, sampleSize)}
	bad := append([]gpttest.Partition{}, sample...)
	bad[2] = gpttest.Partition{Type: gpttest.Root, Unique: sample[1].Unique, First: 250, Last: 400}
	gpttest.Write(m.b, 512, bad)
	if _, err := Read(m, sampleSize); !fault.Is(err, fault.Corrupt) {
		t.Errorf("overlap: %v", err)
	}
}

func TestGUIDText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := GUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		back, err := ParseGUID(g.String())
		if err != nil || back != g || GUID(g.swapped()).swapped() != g {
			t.Errorf("%v became %v, %v", g, back, err)
		}
	})
	for _, bad := range []string{"", "x", "4f68bce3e8cd4db196e7fbcaf984b709", "4f68bce3-e8cd-4db1-96e7-fbcaf984b70", "4f68-bce3e8cd-4db1-96e7-fbcaf984b709"} {
		if _, err := ParseGUID(bad); err == nil {
			t.Errorf("%q is a GUID", bad)
		}
	}
}

func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e Entry
		name := rapid.StringN(0, 40, -1).Draw(t, "name")
		if e.SetName(name) == nil && e.Name() != name {
			t.Errorf("%q became %q", name, e.Name())
		}
		b := make([]byte, entrySize)
		e.encode(b)
		if decodeEntry(b) != e {
			t.Error("an entry did not survive its encoding")
		}
	})
	var e Entry
	if err := e.SetName(strings.Repeat("😀", 19)); !fault.Is(err, fault.Invalid) {
		t.Errorf("38 units: %v", err)
	}
	if err := e.SetName("a\x00b"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a zero inside: %v", err)
	}
}

// FuzzRead changes bytes of both headers and tables, seals them with right checksums, and demands that whatever
// is accepted can be written without touching a sector of any partition.
func FuzzRead(f *testing.F) {
	f.Add(uint16(0), uint64(0), uint16(0), uint64(0), true)
	f.Add(uint16(72), uint64(33), uint16(512+34), uint64(1), true)
	f.Fuzz(func(t *testing.T, at uint16, value uint64, also uint16, second uint64, keepBackup bool) {
		m := sampleDisk(512)
		for _, change := range []struct {
			at    uint16
			value uint64
		}{{at, value}, {also, second}} {
			binary.LittleEndian.PutUint64(m.b[512+int(change.at)%4096:], change.value)
		}
		h := m.b[512 : 512+92]
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(m.b[1024:1024+16384]))
		sealHeader(h)
		if !keepBackup {
			m.b[sampleSize-512] ^= 1
		}
		table, err := Read(m, sampleSize)
		if err != nil {
			return
		}
		before := bytes.Clone(m.b)
		if err := table.Write(m); err != nil {
			return
		}
		for i, e := range table.Entries {
			if e.Used() && !bytes.Equal(before[e.FirstLBA*512:(e.LastLBA+1)*512], m.b[e.FirstLBA*512:(e.LastLBA+1)*512]) {
				t.Errorf("writing the table changed partition %d", i+1)
			}
		}
		back := mustRead(t, m)
		if diff := cmp.Diff(table.Entries, back.Entries, cmp.AllowUnexported(Entry{})); diff != "" {
			t.Error(diff)
		}
	})
}
