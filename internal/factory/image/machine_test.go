package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMachine(t *testing.T) {
	want := map[string]string{
		"amd64": "linuxx64.efi.stub systemd-bootx64.efi EFI/BOOT/BOOTX64.EFI console=ttyS0,115200 load sha256_ssse3",
		"arm64": "linuxaa64.efi.stub systemd-bootaa64.efi EFI/BOOT/BOOTAA64.EFI console=ttyAMA0,115200 load sha256_arm64",
	}
	got := map[string]string{}
	for _, m := range machines {
		own := []string{m.stub(), m.loader(), m.fallback()}
		for _, name := range []string{"cmdline", "initrd.modules"} {
			all, err := definitionLines(name)
			if err != nil {
				t.Fatal(err)
			}
			kept := m.own(all)
			if len(kept) >= len(all) || strings.Contains(strings.Join(kept, " "), ": ") {
				t.Errorf("%s: of %s is left %q", m.debian, name, kept)
			}
			for _, line := range kept {
				if strings.Contains(line, "tty") && !strings.Contains(line, " ") || strings.Contains(line, "sha256") {
					own = append(own, line)
				}
			}
		}
		got[m.debian] = strings.Join(own, " ")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := machineOf("m68k"); err == nil {
		t.Error("there is an m68k")
	}
}
