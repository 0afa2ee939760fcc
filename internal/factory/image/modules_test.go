package image

import (
	"bytes"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

var kernelFolder = fstest.MapFS{
	"modules.dep": {Data: []byte(`kernel/drivers/md/dm-mod.ko:
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko
kernel/drivers/block/virtio_blk.ko:
kernel/drivers/ata/ahci.ko: kernel/drivers/ata/libata.ko
kernel/drivers/ata/libata.ko:
kernel/sound/snd.ko:
`)},
	"modules.builtin": {Data: []byte("kernel/drivers/nvme/host/nvme.ko\n")},
	"modules.alias": {Data: []byte(`# Aliases extracted from modules themselves.
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias virtio:d00000002v* virtio_blk
alias dm-verity-2 dm_verity
alias snd-x snd
`)},
}

func TestChosenModulesComeWithWhatTheyNeed(t *testing.T) {
	tables, err := readModuleTables(kernelFolder)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tables.choose([]string{"load dm_verity", "probe nvme", "probe virtio_blk", "probe ahci"})
	if err != nil {
		t.Fatal(err)
	}
	want := &initrdModules{
		files: []string{
			"kernel/drivers/ata/ahci.ko", "kernel/drivers/ata/libata.ko", "kernel/drivers/block/virtio_blk.ko",
			"kernel/drivers/md/dm-bufio.ko", "kernel/drivers/md/dm-mod.ko", "kernel/drivers/md/dm-verity.ko",
		},
		load: []string{"dm_verity"},
		dep: `kernel/drivers/ata/ahci.ko: kernel/drivers/ata/libata.ko
kernel/drivers/ata/libata.ko: 
kernel/drivers/block/virtio_blk.ko: 
kernel/drivers/md/dm-bufio.ko: kernel/drivers/md/dm-mod.ko
kernel/drivers/md/dm-mod.ko: 
kernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-bufio.ko kernel/drivers/md/dm-mod.ko
`,
		aliases: "alias virtio:d00000002v* virtio_blk\nalias pci:v*d*sv*sd*bc01sc06i01* ahci\n",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(initrdModules{})); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownModulesAndWordsAreRefused(t *testing.T) {
	tables, err := readModuleTables(kernelFolder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tables.choose([]string{"load dm_crypt"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown module gave %v", err)
	}
	if _, err := tables.choose([]string{"lod dm_verity"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown word gave %v", err)
	}
}

// readCPIO reads an archive as the kernel's format description has it; every boot of a machine reads one for real.
func readCPIO(t *testing.T, archive []byte) (names []string, modes map[string]int64, files map[string]string) {
	t.Helper()
	modes, files = map[string]int64{}, map[string]string{}
	for {
		if len(archive) < 110 || string(archive[:6]) != "070701" {
			t.Fatalf("no header after %v", names)
		}
		field := func(i int) int64 {
			n, err := strconv.ParseInt(string(archive[6+8*i:14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		nameEnd := 110 + int(field(11))
		dataAt := (nameEnd + 3) / 4 * 4
		dataEnd := dataAt + int(field(6))
		name := string(archive[110 : nameEnd-1])
		if name == "TRAILER!!!" {
			return names, modes, files
		}
		names = append(names, name)
		modes[name], files[name] = field(1), string(archive[dataAt:dataEnd])
		archive = archive[(dataEnd+3)/4*4:]
	}
}

func TestCPIOHoldsFilesAfterTheirFolders(t *testing.T) {
	var archive bytes.Buffer
	c := newCPIO(&archive)
	c.file("init", 0o755, []byte("#!\n"))
	c.file("modules/kernel/a.ko", 0o644, bytes.Repeat([]byte("m"), 1001))
	c.file("modules/empty", 0o644, nil)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	names, modes, files := readCPIO(t, archive.Bytes())
	want := []string{"init", "modules", "modules/kernel", "modules/kernel/a.ko", "modules/empty"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if modes["init"] != 0o100755 || modes["modules"] != 0o040755 || modes["modules/kernel/a.ko"] != 0o100644 {
		t.Errorf("modes are %v", modes)
	}
	if files["init"] != "#!\n" || len(files["modules/kernel/a.ko"]) != 1001 || files["modules/empty"] != "" {
		t.Error("contents differ")
	}
}
