package lab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Accel is how QEMU runs a guest's instructions.
type Accel string

// The two ways. KVM is used only where a guest has been seen to run under it.
const (
	KVM Accel = "kvm"
	TCG Accel = "tcg"
)

// probeExit is what the probe guest writes to the debug port; QEMU exits with 2*probeExit+1.
const probeExit = 0x10

// probeSector is a boot sector that ends its own machine: mov al, 0x10; out 0xf4, al; hlt; jmp to hlt.
var probeSector = []byte{0xb0, probeExit, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd}

// probeAccel runs a guest of seven bytes under KVM with a time limit: /dev/kvm may open, make a machine,
// and still run nothing.
func (l *Lab) probeAccel(ctx context.Context) Accel {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return TCG
	}
	sector := make([]byte, 512)
	copy(sector, probeSector)
	sector[510], sector[511] = 0x55, 0xaa
	disk := filepath.Join(l.Folder, "kvm-probe.raw")
	if err := os.WriteFile(disk, sector, 0o600); err != nil {
		return TCG
	}
	defer os.Remove(disk)
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	cmd := l.qemu(ctx, "-accel", "kvm", "-cpu", "host", "-display", "none", "-m", "64", "-nic", "none",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-drive", "format=raw,file="+disk)
	var exit *exec.ExitError
	if errors.As(cmd.Run(), &exit) && exit.ExitCode() == 2*probeExit+1 {
		return KVM
	}
	return TCG
}
