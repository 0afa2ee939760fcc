package slots_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/slots/gpt"
	"conifer.dev/conifer/internal/machine/slots/gpttest"
	"conifer.dev/conifer/internal/machine/verity"
)

const (
	slotBlocks = 16
	ukiBytes   = 9000
	espBytes   = 256 << 10
)

var releases = bootsim.Releases{RootBlocks: slotBlocks, UKIBytes: ukiBytes}

// running gives a machine that runs 1.1.0 from slot B and has 1.0.0 in slot A, with these boot entries only.
func running(t testing.TB, entries ...string) (*bootsim.Machine, *slots.Slots) {
	t.Helper()
	m, err := bootsim.NewMachine(1, releases.Of("1.0.0"), releases.Of("1.1.0"), slotBlocks, espBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Boot(); err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		setFiles(t, m, entries)
	}
	s, err := m.Slots()
	if err != nil {
		t.Fatal(err)
	}
	return m, s
}

// setFiles replaces the boot entries. A name that ends in "=empty" or "=short" is a damaged file.
func setFiles(t testing.TB, m *bootsim.Machine, names []string) {
	t.Helper()
	for _, old := range fileNames(t, m) {
		if err := m.ESP.Remove(old); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.ESP.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		name, damage, _ := strings.Cut(name, "=")
		content := []byte("MZ content of a file")
		switch damage {
		case "empty":
			content = nil
		case "short":
			content = content[:5]
		}
		m.ESP.Put(name, content)
	}
}

func fileNames(t testing.TB, m *bootsim.Machine) []string {
	t.Helper()
	infos, err := m.ESP.List()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

func TestOpenFindsTheRunningSlot(t *testing.T) {
	m, s := running(t)
	if s.Running() != slots.B || s.Other() != slots.A || s.RunningVersion() != "1.1.0" {
		t.Errorf("runs %v (%s), other is %v", s.Running(), s.RunningVersion(), s.Other())
	}
	hash := releases.Of("1.0.0").Release.Root.Hash
	uuid := func(h string) string { return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:] }
	want := slots.SlotInfo{
		Slot: slots.A, Version: "1.0.0", RootUUID: uuid(hash[:32]), VerityUUID: uuid(hash[32:]), RootNumber: 2, VerityNumber: 3,
		RootSizeBytes: slotBlocks * 4096, VeritySizeBytes: 2 * 4096,
	}
	if diff := cmp.Diff(want, s.Info(slots.A)); diff != "" {
		t.Error(diff)
	}
	back, err := slots.Open(m.Disk, nil, m.ESP, hash)
	if err != nil || back.Running() != slots.A {
		t.Errorf("with the other root hash: %v, %v", back, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	hash := releases.Of("1.1.0").Release.Root.Hash
	part := func(kind, unique, name string, first uint64) gpttest.Partition {
		return gpttest.Partition{Type: kind, Unique: unique, Name: name, First: first, Last: first}
	}
	root, verity := guids(t, hash)
	good := []gpttest.Partition{
		part(gpttest.Root, root, "conifer_1.1.0", 100), part(gpttest.Verity, verity, "conifer_1.1.0", 101),
		part(gpttest.Root, gpttest.Var, "_empty", 102), part(gpttest.Verity, gpttest.Var, "_empty", 103),
	}
	with := func(i int, p gpttest.Partition) []gpttest.Partition {
		rows := append([]gpttest.Partition{}, good...)
		rows[i] = p
		return rows
	}
	cases := []struct {
		name string
		hash string
		rows []gpttest.Partition
		kind fault.Kind
	}{
		{"good", hash, good, -1},
		{"no root hash", "", good, fault.Invalid},
		{"another root hash", strings.Repeat("00", 32), good, fault.NotFound},
		{"one slot", hash, good[:2], fault.Unsupported},
		{"no slots", hash, nil, fault.NotFound},
		{"another verity", hash, with(1, part(gpttest.Verity, gpttest.Var, "conifer_1.1.0", 101)), fault.NotFound},
		{"foreign label", hash, with(0, part(gpttest.Root, root, "root", 100)), fault.Invalid},
		{"two labels", hash, with(1, part(gpttest.Verity, verity, "conifer_1.2.0", 101)), fault.Invalid},
		{"version that is none", hash, with(0, part(gpttest.Root, root, "conifer_../x", 100)), fault.Invalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			disk := &memory{make([]byte, 1<<20)}
			gpttest.Write(disk.b, 512, c.rows)
			_, err := slots.Open(disk, nil, nil, c.hash)
			if c.kind < 0 && err != nil || c.kind >= 0 && !fault.Is(err, c.kind) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
		})
	}
	if _, err := slots.Open(&memory{make([]byte, 1<<20)}, nil, nil, hash); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a disk without a table: %v", err)
	}
}

func guids(t testing.TB, hash string) (root, verity string) {
	t.Helper()
	parsed, err := slots.ParseRootHash(hash)
	if err != nil {
		t.Fatal(err)
	}
	a, b := slots.UUIDs(parsed)
	return a.String(), b.String()
}

type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error)  { return bytes.NewReader(m.b).ReadAt(p, off) }
func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.b[off:], p), nil }
func (m *memory) Sync() error                              { return nil }
func (m *memory) SizeBytes() int64                         { return int64(len(m.b)) }

func TestLabelMarksTheOtherSlotOnly(t *testing.T) {
	m, s := running(t)
	before := s.Info(slots.B)
	r := releases.Of("1.2.0")
	for range 2 {
		if err := s.Label("1.2.0", r.Tree.Root); err != nil {
			t.Fatal(err)
		}
	}
	again, err := m.Slots()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*slots.Slots{s, again} {
		root, verity := guids(t, r.Release.Root.Hash)
		got := s.Info(slots.A)
		if got.Version != "1.2.0" || got.RootUUID != root || got.VerityUUID != verity {
			t.Errorf("slot A is %+v", got)
		}
		if diff := cmp.Diff(before, s.Info(slots.B)); diff != "" {
			t.Errorf("the running slot changed: %s", diff)
		}
	}
}

func TestLabelRefuses(t *testing.T) {
	m, s := running(t)
	before := m.Power.Writes()
	other := [32]byte{1}
	cases := []struct {
		version string
		hash    [32]byte
		kind    fault.Kind
	}{
		{"1.1.0", other, fault.Conflict},
		{"1.2.0", releases.Of("1.1.0").Tree.Root, fault.Conflict},
		{"1.2.0-0123456789012345678901234", other, fault.Unsupported},
		{"1.2.0+3", other, fault.Unsupported},
		{"1.2.0+3-1", other, fault.Unsupported},
		{"x", other, fault.Invalid},
	}
	for _, c := range cases {
		if err := s.Label(c.version, c.hash); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", c.version, err, c.kind)
		}
	}
	if m.Power.Writes() != before {
		t.Error("a refused label was written")
	}
}

func TestRepair(t *testing.T) {
	m, s := running(t)
	if s.Damaged() {
		t.Fatal("a whole table is damaged")
	}
	for _, sector := range []int64{1, m.Disk.SizeBytes()/512 - 1} {
		if _, err := m.Disk.WriteAt(make([]byte, 512), sector*512); err != nil {
			t.Fatal(err)
		}
		s, err := m.Slots()
		if err != nil || !s.Damaged() {
			t.Fatalf("sector %d: %v", sector, err)
		}
		if err := s.Repair(); err != nil || s.Damaged() {
			t.Errorf("sector %d: after repair: %v", sector, err)
		}
		table, err := gpt.Read(m.Disk, m.Disk.SizeBytes())
		if err != nil {
			t.Fatal(err)
		}
		if primary, backup := table.Whole(); !primary || !backup {
			t.Errorf("sector %d: whole: %v %v", sector, primary, backup)
		}
	}
}

func TestCheckRoomCountsWhatRetireRemoves(t *testing.T) {
	_, s := running(t)
	free := int64(espBytes - ukiBytes - 64<<10) // beside the running entry, with the margin
	cases := []struct {
		root, verity, uki int64
		message           string
	}{
		{slotBlocks * 4096, 8192, free, ""},
		{slotBlocks*4096 + 1, 8192, 1, "root needs"},
		{4096, 8193, 1, "verity needs"},
		{4096, 4096, free + 1, "boot entry needs"},
	}
	for _, c := range cases {
		err := s.CheckRoom(c.root, c.verity, c.uki)
		if c.message == "" && err != nil {
			t.Error(err)
		}
		if c.message != "" && (!fault.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), c.message) || fault.HintOf(err) == "") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestOtherPartitionsMustBeThoseOfTheTable(t *testing.T) {
	m, _ := running(t)
	opened := []int{}
	part := func(number, _ int) (slots.Device, error) {
		opened = append(opened, number)
		if number == 3 {
			return &memory{make([]byte, 4096)}, nil
		}
		return m.Partition(number), nil
	}
	s, err := slots.Open(m.Disk, part, m.ESP, releases.Of("1.1.0").Release.Root.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.OtherPartitions(); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("a partition of another size: %v", err)
	}
	if diff := cmp.Diff([]int{2, 3}, opened); diff != "" {
		t.Error(diff)
	}
}

// TestOpenSystem walks the folders in which Linux shows its devices, with files for devices.
func TestOpenSystem(t *testing.T) {
	for _, c := range []struct{ disk, partition string }{{"vda", "vda4"}, {"nvme0n1", "nvme0n1p4"}} {
		dir := t.TempDir()
		sys := slots.System{Dev: filepath.Join(dir, "dev"), Sys: filepath.Join(dir, "sys")}
		m, _ := running(t)
		hash := releases.Of("1.1.0").Release.Root.Hash
		uuid, _ := guids(t, hash)
		content := make([]byte, m.Disk.SizeBytes())
		if _, err := m.Disk.ReadAt(content, 0); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(sys.Dev, c.disk), content)
		for number, size := range map[int]int{2: slotBlocks * 4096, 3: 8192, 4: slotBlocks * 4096} {
			writeFile(t, filepath.Join(sys.Dev, strings.TrimSuffix(c.partition, "4")+fmt.Sprint(number)), make([]byte, size))
		}
		link(t, filepath.Join("..", "..", c.partition), filepath.Join(sys.Dev, "disk/by-partuuid", uuid))
		writeFile(t, filepath.Join(sys.Sys, "devices/pci/block", c.disk, c.partition, "partition"), []byte("4\n"))
		link(t, filepath.Join("../../devices/pci/block", c.disk, c.partition), filepath.Join(sys.Sys, "class/block", c.partition))
		writeFile(t, filepath.Join(dir, "efi/EFI/Linux/conifer_1.1.0.efi"), []byte("MZ"))

		s, err := sys.OpenSystem(filepath.Join(dir, "efi"), hash)
		if err != nil {
			t.Fatal(err)
		}
		root, verity, err := s.OtherPartitions()
		if err != nil {
			t.Fatal(err)
		}
		slots.Close(root)
		slots.Close(verity)
		if entries, err := s.Entries(); err != nil || len(entries) != 1 {
			t.Errorf("entries: %v, %v", entries, err)
		}
		addEntryForReal(t, s, filepath.Join(dir, "efi/EFI/Linux"))
		if _, err := sys.OpenSystem(filepath.Join(dir, "efi"), strings.Repeat("00", 32)); !fault.Is(err, fault.NotFound) {
			t.Errorf("another root hash: %v", err)
		}
	}
}

// addEntryForReal runs an update's steps on the boot entries of a real folder.
func addEntryForReal(t *testing.T, s *slots.Slots, dir string) {
	t.Helper()
	r := releases.Of("1.2.0")
	if err := s.RetireOther(); err != nil {
		t.Fatal(err)
	}
	if err := s.Label("1.2.0", r.Tree.Root); err != nil {
		t.Fatal(err)
	}
	if err := s.AddEntry("1.2.0", from(bytes.NewReader(r.UKI)), int64(len(r.UKI)), r.Artifacts[0].SHA256, 3); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "conifer_1.2.0+3.efi"))
	if err != nil || !bytes.Equal(got, r.UKI) {
		t.Errorf("the new entry: %v", err)
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestTheRunningReleaseIsReadOnly(t *testing.T) {
	m, _ := running(t)
	var flags []int
	part := func(number, flag int) (slots.Device, error) {
		flags = append(flags, flag)
		return m.OpenPartition(number, flag)
	}
	s, err := slots.Open(m.Disk, part, m.ESP, releases.Of("1.1.0").Release.Root.Hash)
	if err != nil {
		t.Fatal(err)
	}
	root, tree, err := s.RunningPartitions()
	if err != nil {
		t.Fatal(err)
	}
	r := releases.Of("1.1.0")
	if err := verity.Verify(root, tree, r.Tree.Root); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]int{os.O_RDONLY, os.O_RDONLY}, flags); diff != "" {
		t.Error(diff)
	}
	uki, size, err := s.RunningUKI()
	if err != nil {
		t.Fatal(err)
	}
	defer uki.Close()
	content := make([]byte, size)
	if _, err := uki.ReadAt(content, 0); err != nil || !bytes.Equal(content, r.UKI) {
		t.Errorf("%d bytes that differ, %v", size, err)
	}
	m.ESP.Drop("conifer_1.1.0.efi")
	if _, _, err := s.RunningUKI(); !fault.Is(err, fault.NotFound) {
		t.Errorf("without an entry: %v", err)
	}
}
