package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// loader is the dynamic loader of the tools tree, through which its programs run without entering it.
const loader = "usr/lib64/ld-linux-x86-64.so.2"

const libraries = "usr/lib/x86_64-linux-gnu"

// tool prepares a program of the tools tree to run on the host.
func (l *Lab) tool(ctx context.Context, program string, args ...string) *exec.Cmd {
	argv := append([]string{"--library-path", l.file(libraries), l.file(program)}, args...)
	return exec.CommandContext(ctx, l.file(loader), argv...)
}

func (l *Lab) qemu(ctx context.Context, args ...string) *exec.Cmd {
	cmd := l.tool(ctx, "usr/bin/qemu-system-x86_64", append([]string{"-L", l.file("usr/share/qemu"), "-L", l.file("usr/share/seabios")}, args...)...)
	cmd.Env = append(os.Environ(), "QEMU_MODULE_DIR="+l.file(libraries+"/qemu"))
	return cmd
}

// arguments is the machine's hardware as QEMU's command line.
func (m *Machine) arguments(code string) []string {
	// One virtual CPU under emulation: with two, a guest was seen whose second one lost its timer, and switching
	// between them costs more than it brings on a host with few cores.
	cpus := 1
	// TCG emulates the fast string instructions byte by byte, so a guest is better off without them.
	accel, cpu := "tcg,thread=multi", "max,-erms,-fsrm"
	if m.lab.Accel == KVM {
		accel, cpu, cpus = "kvm", "host", 2
	}
	args := []string{
		"-name", m.Name, "-machine", "q35,smm=off,hpet=off,sata=off,i8042=off", "-accel", accel, "-cpu", cpu,
		"-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(m.spec.MemoryMiB),
		"-nodefaults", "-display", "none", "-no-user-config",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code,
		"-drive", "if=pflash,format=raw,unit=1,file=" + m.path("vars.fd"),
		"-drive", "if=none,id=disk,format=qcow2,discard=unmap,file=" + m.path("disk.qcow2"),
		"-device", "virtio-blk-pci,drive=disk,bootindex=1",
		"-netdev", m.network(), "-device", "virtio-net-pci,netdev=net,romfile=,mac=" + m.mac(),
		"-device", "virtio-rng-pci",
		"-serial", "file:" + m.path("console.log"),
		"-qmp", "unix:" + m.path("qmp.sock") + ",server=on,wait=off",
	}
	for i := range m.spec.Credentials {
		args = append(args, "-smbios", "type=11,path="+m.path(fmt.Sprintf("credential-%d", i)))
	}
	return args
}

// network forwards loopback ports of the host to ports of the guest.
func (m *Machine) network() string {
	var b strings.Builder
	b.WriteString("user,id=net,ipv6=off")
	for guest, host := range m.forwards {
		fmt.Fprintf(&b, ",hostfwd=tcp:127.0.0.1:%d-:%d", host, guest)
	}
	return b.String()
}

// mac gives each name its own address.
func (m *Machine) mac() string {
	sum := uint32(2166136261)
	for _, c := range []byte(m.Name) {
		sum = (sum ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", byte(sum>>16), byte(sum>>8), byte(sum))
}
