package image

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
)

// makeInitrd writes the initramfs: cmd/conifer-initrd as /init, and the modules it may need in /modules.
func (b *builder) makeInitrd(context.Context) error {
	folder, err := b.kernelFolder()
	if err != nil {
		return err
	}
	modules, err := chooseModules(os.DirFS(folder), b.machine)
	if err != nil {
		return err
	}
	init, err := os.ReadFile(b.spec.Initrd)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	c := newCPIO(&archive)
	c.file("init", 0o755, init)
	c.file("modules/modules.load", 0o644, []byte(strings.Join(modules.load, "\n")+"\n"))
	c.file("modules/modules.dep", 0o644, []byte(modules.dep))
	c.file("modules/modules.alias", 0o644, []byte(modules.aliases))
	for _, file := range modules.files {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return err
		}
		c.file("modules/"+file, 0o644, text)
	}
	if err := c.close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.scratch, "initrd"), archive.Bytes(), 0o644)
}

func chooseModules(folder fs.FS, m machine) (*initrdModules, error) {
	wishes, err := definitionLines("initrd.modules")
	if err != nil {
		return nil, err
	}
	tables, err := readModuleTables(folder)
	if err != nil {
		return nil, err
	}
	return tables.choose(m.own(wishes))
}

// kernelFolder finds the one kernel of the package tree.
func (b *builder) kernelFolder() (string, error) {
	found, err := filepath.Glob(filepath.Join(b.base.root(), "usr/lib/modules/*/vmlinuz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fault.New(fault.Internal, "the packages hold %d kernels, want 1", len(found))
	}
	folder := filepath.Dir(found[0])
	b.kernel = filepath.Base(folder)
	return folder, nil
}

// efiFolder is where the tools tree has programs for the firmware.
const efiFolder = "usr/lib/systemd/boot/efi"

// makeUKI joins kernel, initrd and command line: the one file that names the whole system.
func (b *builder) makeUKI(ctx context.Context) error {
	step := cli.NewProgress(b.progress, "write the unified kernel image", 0)
	defer step.End()
	words, err := definitionLines("cmdline")
	if err != nil {
		return err
	}
	line := strings.Join(append([]string{"roothash=" + b.image.Root.Hash}, b.machine.own(words)...), " ")
	kernel, err := os.ReadFile(filepath.Join(b.base.root(), "usr/lib/modules", b.kernel, "vmlinuz"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.scratch, "vmlinuz"), kernel, 0o644); err != nil {
		return err
	}
	_, err = b.tools.run(ctx, "ukify", "build", "--linux=/build/vmlinuz", "--initrd=/build/initrd", "--uname="+b.kernel, "--cmdline="+line,
		"--os-release=@/build/root/usr/lib/os-release", "--stub="+path.Join("/", efiFolder, b.machine.stub()), "--output=/out/"+b.names.uki)
	return err
}
