package initrd

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/slots/gpt"
	"conifer.dev/conifer/internal/machine/slots/gpttest"
)

const (
	hash     = "8a000d80600602a5d3044ba9ab5382d7354ab6dc10e4660d641d9178f195b4ac"
	rootGUID = "8a000d80-6006-02a5-d304-4ba9ab5382d7"
	treeGUID = "354ab6dc-10e4-660d-641d-9178f195b4ac"
)

func TestCommandLine(t *testing.T) {
	o, err := parseCommandLine("quiet roothash=" + hash + " gpt\n")
	if err != nil {
		t.Fatal(err)
	}
	if o.rootGUID().String() != rootGUID || o.treeGUID().String() != treeGUID {
		t.Errorf("partitions are %s and %s", o.rootGUID(), o.treeGUID())
	}
	for _, line := range []string{
		"quiet", "roothash=", "roothash=abcd", "roothash=" + hash[:63] + "g", "roothash=" + hash + " roothash=" + strings.Repeat("00", 32),
	} {
		if _, err := parseCommandLine(line); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q gave %v", line, err)
		}
	}
}

// testModules records what would be loaded.
func testModules(t *testing.T, order *[]string) *modules {
	t.Helper()
	m, err := openModules(fstest.MapFS{
		"modules.dep": {Data: []byte(`kernel/dm-mod.ko:
kernel/dm-bufio.ko: kernel/dm-mod.ko
kernel/dm-verity.ko: kernel/dm-bufio.ko kernel/dm-mod.ko
kernel/virtio_blk.ko:
kernel/ahci.ko: kernel/libata.ko
kernel/libata.ko:
`)},
		"modules.alias": {Data: []byte("alias virtio:d00000002v* virtio_blk\nalias pci:v*d*bc01sc06i01* ahci\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.insert = func(_ fs.FS, file string) error {
		*order = append(*order, file)
		return nil
	}
	return m
}

func TestModulesAreLoadedAfterWhatTheyNeedAndOnce(t *testing.T) {
	var order []string
	m := testModules(t, &order)
	for _, name := range []string{"dm_verity", "dm_mod", "dm_verity"} {
		if err := m.load(name); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"kernel/dm-mod.ko", "kernel/dm-bufio.ko", "kernel/dm-verity.ko"}, order); diff != "" {
		t.Error(diff)
	}
	if err := m.load("nosuch"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown module gave %v", err)
	}
}

func TestDriversComeOneByOneTheLikeliestFirst(t *testing.T) {
	var order []string
	m := testModules(t, &order)
	devices := []string{"pci:v00008086d00002922bc01sc06i01", "acpi:PNP0C02:", "virtio:d00000002v00001AF4"}
	for _, want := range []string{"virtio_blk", "ahci"} {
		name, ok := m.nextFor(devices)
		if !ok || name != want {
			t.Fatalf("next driver is %q, want %s", name, want)
		}
		if err := m.load(name); err != nil {
			t.Fatal(err)
		}
	}
	if name, ok := m.nextFor(devices); ok {
		t.Errorf("%s is offered again", name)
	}
}

// machine makes a folder with the disks that sysfs and devtmpfs would show.
func machine(t *testing.T, disks map[string][]gpttest.Partition) system {
	t.Helper()
	s := system{t.TempDir()}
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, partitions := range disks {
		image := make([]byte, 2<<20)
		gpttest.Write(image, 512, partitions)
		write("dev/"+name, string(image))
		write("sys/class/block/"+name+"/size", "4096\n")
		for i := range partitions {
			node := fmt.Sprintf("%s%d", name, i+1)
			if strings.HasSuffix(name, "n1") {
				node = fmt.Sprintf("%sp%d", name, i+1)
			}
			write("sys/class/block/"+node+"/partition", fmt.Sprintf("%d\n", i+1))
		}
	}
	return s
}

func partitionsOf(root, tree string) []gpttest.Partition {
	return []gpttest.Partition{
		{Type: gpttest.ESP, Unique: "aaaaaaaa-0000-4000-8000-000000000001", Name: "esp", First: 100, Last: 199},
		{Type: gpttest.Root, Unique: root, Name: "conifer_1.0.0", First: 200, Last: 299},
		{Type: gpttest.Verity, Unique: tree, Name: "conifer_1.0.0", First: 300, Last: 399},
	}
}

func TestRootIsFoundOnOneDisk(t *testing.T) {
	other := "bbbbbbbb-0000-4000-8000-00000000000"
	o, err := parseCommandLine("roothash=" + hash)
	if err != nil {
		t.Fatal(err)
	}
	b := &boot{options: o, system: machine(t, map[string][]gpttest.Partition{
		"sda":     partitionsOf(rootGUID, other+"1"), // half of the pair: not ours
		"nvme0n1": partitionsOf(rootGUID, treeGUID),
		"vda":     partitionsOf(other+"2", other+"3"),
	})}
	if err := b.findRoot(); err != nil {
		t.Fatal(err)
	}
	if b.disk.name != "nvme0n1" || filepath.Base(b.root) != "nvme0n1p2" || filepath.Base(b.tree) != "nvme0n1p3" {
		t.Errorf("found %s, %s, %s", b.disk.name, b.root, b.tree)
	}
	if node, ok := b.partition(ofType(gpt.TypeESP)); !ok || filepath.Base(node) != "nvme0n1p1" {
		t.Errorf("ESP is %q", node)
	}
	if _, ok := b.partition(ofType(gpt.TypeVar)); ok {
		t.Error("a disk without /var has one")
	}
}

func TestPartitionThatTheKernelHasNotMadeIsNotThere(t *testing.T) {
	s := machine(t, map[string][]gpttest.Partition{"vda": partitionsOf(rootGUID, treeGUID), "vdab": partitionsOf(rootGUID, treeGUID)})
	if err := os.RemoveAll(s.path("sys/class/block/vda2")); err != nil {
		t.Fatal(err)
	}
	if node, ok := s.node("vda", 2); ok {
		t.Errorf("found %s", node)
	}
	if node, ok := s.node("vda", 1); !ok || filepath.Base(node) != "vda1" {
		t.Errorf("partition 1 is %q", node)
	}
}

func TestNoRootSaysWhatWasWrongWithEachDisk(t *testing.T) {
	b := &boot{}
	err := b.noRoot(map[string]error{"vda": fault.New(fault.Corrupt, "both copies are damaged")})
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "vda: both copies are damaged") {
		t.Errorf("got %v", err)
	}
}

func TestInitramfsIsEmptiedButForTheNewRoot(t *testing.T) {
	folder, outside := t.TempDir(), t.TempDir()
	keep := filepath.Join(folder, "sysroot")
	for _, path := range []string{"modules/kernel", "sysroot/usr"} {
		if err := os.MkdirAll(filepath.Join(folder, path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(folder, "init"), filepath.Join(keep, "usr/systemd"), filepath.Join(outside, "null")} {
		if err := os.WriteFile(path, []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(folder, "dev")); err != nil {
		t.Fatal(err)
	}
	if err := emptyInitramfs(folder, keep); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "sysroot" {
		t.Errorf("left are %v, %v", left, err)
	}
	for _, path := range []string{filepath.Join(keep, "usr/systemd"), filepath.Join(outside, "null")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
