package image

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"conifer.dev/conifer/internal/cli"
	osdef "conifer.dev/conifer/os"
)

// Sizes of the partitions. They can not change on a machine in the field, so they have room: at the time
// of writing root takes half of its slot.
const (
	espBytes    = 256 << 20
	rootBytes   = 512 << 20
	verityBytes = 16 << 20
)

// partition is one definition for systemd-repart (repart.d(5)).
type partition struct {
	kind, label, uuid string
	sizeBytes         int64
	more              string // further lines
}

func (p partition) text() string {
	return fmt.Sprintf("[Partition]\nType=%s\nLabel=%s\nUUID=%s\nSizeMinBytes=%d\nSizeMaxBytes=%d\n%s",
		p.kind, p.label, p.uuid, p.sizeBytes, p.sizeBytes, p.more)
}

// partitions is the table of a new disk: slot A holds this image, slot B nothing.
func (b *builder) partitions() ([]partition, error) {
	hash, err := hex.DecodeString(b.image.Root.Hash)
	if err != nil {
		return nil, err
	}
	root := "root-" + b.machine.systemd
	label := "conifer_" + b.spec.Version
	return []partition{
		{"esp", "esp", derivedUUID("esp", ""), espBytes, "Format=vfat\nCopyFiles=/build/esp:/\n"},
		{root, label, uuidText(hash[:16]), rootBytes, "CopyBlocks=/out/" + b.names.root + "\nReadOnly=yes\n"},
		{root + "-verity", label, uuidText(hash[16:]), verityBytes, "CopyBlocks=/out/" + b.names.verity + "\nReadOnly=yes\n"},
		{root, "_empty", derivedUUID("root B", ""), rootBytes, "ReadOnly=yes\n"},
		{root + "-verity", "_empty", derivedUUID("verity B", ""), verityBytes, "ReadOnly=yes\n"},
	}, nil
}

// makeDisk writes the disk for a first boot. Its boot entry has no counter: there is no older release to fall back to.
func (b *builder) makeDisk(ctx context.Context) error {
	step := cli.NewProgress(b.progress, "write the disk", 0)
	defer step.End()
	if err := b.fillESP(); err != nil {
		return err
	}
	table, err := b.partitions()
	if err != nil {
		return err
	}
	definitions := filepath.Join(b.scratch, "repart.d")
	if err := os.Mkdir(definitions, 0o755); err != nil {
		return err
	}
	for i, p := range table {
		if err := os.WriteFile(filepath.Join(definitions, fmt.Sprintf("%02d.conf", i*10)), []byte(p.text()), 0o644); err != nil {
			return err
		}
	}
	_, err = b.tools.run(ctx, "systemd-repart", "--empty=create", "--size=auto", "--sector-size=512", "--dry-run=no", "--offline=yes", "--definitions=/build/repart.d",
		"--seed="+derivedUUID("disk", b.spec.Version), "/out/"+b.names.disk)
	return err
}

// fillESP makes the content of the EFI system partition: systemd-boot where every firmware looks, and the UKI.
func (b *builder) fillESP() error {
	esp := filepath.Join(b.scratch, "esp")
	for _, folder := range []string{"EFI/BOOT", "EFI/Linux", "loader"} {
		if err := os.MkdirAll(filepath.Join(esp, folder), 0o755); err != nil {
			return err
		}
	}
	settings, err := fs.ReadFile(osdef.Files, "loader.conf")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(esp, "loader/loader.conf"), settings, 0o644); err != nil {
		return err
	}
	for _, file := range [][2]string{
		{filepath.Join(b.tools.tree, efiFolder, b.machine.loader()), b.machine.fallback()},
		{filepath.Join(b.out, b.names.uki), "EFI/Linux/" + b.names.uki},
	} {
		text, err := os.ReadFile(file[0])
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(esp, file[1]), text, 0o644); err != nil {
			return err
		}
	}
	return setTimes(esp, b.image.Created)
}

// setTimes gives all below folder one time, which goes into the file system with them.
func setTimes(folder string, to time.Time) error {
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, to, to)
	})
}
