package image

import (
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// machine is an architecture that images are built for, by its names.
type machine struct {
	debian  string // in packages, and in what Conifer makes
	systemd string // in mkosi, os-release(5), and the types of partitions
	efi     string // in programs of the firmware
}

// machines are those that there are; the first is what nobody names.
var machines = []machine{
	{debian: "amd64", systemd: "x86-64", efi: "x64"},
	{debian: "arm64", systemd: "arm64", efi: "aa64"},
}

func machineOf(arch string) (machine, error) {
	i := slices.IndexFunc(machines, func(m machine) bool { return m.debian == arch })
	if i < 0 {
		return machine{}, fault.New(fault.Invalid, "there is no architecture %q", arch).WithHint("Use amd64 or arm64.")
	}
	return machines[i], nil
}

// Arch is the architecture of an image for which none is named.
var Arch = machines[0].debian

// stub is the program that a UKI begins with, and loader the boot loader, both below the folder of the tools tree for them.
func (m machine) stub() string   { return "linux" + m.efi + ".efi.stub" }
func (m machine) loader() string { return "systemd-boot" + m.efi + ".efi" }

// fallback is where every firmware looks for a boot loader.
func (m machine) fallback() string { return "EFI/BOOT/BOOT" + strings.ToUpper(m.efi) + ".EFI" }

// own keeps the lines of a list that are for this machine: one that is for another begins with its name and a colon.
func (m machine) own(list []string) (kept []string) {
	for _, line := range list {
		if arch, rest, ok := strings.Cut(line, ": "); !ok {
			kept = append(kept, line)
		} else if arch == m.debian {
			kept = append(kept, rest)
		}
	}
	return kept
}
