package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
)

// makeRoot writes the tree as erofs. It is not compressed: a delta between releases sees the bytes of the files, and a
// payload is compressed as a whole. No file has its last bytes beside its inode: one that lies in one piece can be made anew from what is
// compressed in it. One time for all files lets mkfs.erofs use its small inodes.
func (b *builder) makeRoot(ctx context.Context) error {
	step := cli.NewProgress(b.progress, "write the root file system", 0)
	defer step.End()
	file := filepath.Join(b.out, b.names.root)
	_, err := b.tools.run(ctx, "mkfs.erofs", "--quiet", "-Enoinline_data", "-T", fmt.Sprint(b.tools.epoch), "--ignore-mtime", "--hard-dereference",
		"-x", "-1", "-U", derivedUUID("erofs", b.spec.Version), "/out/"+b.names.root, "/build/root")
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	step.Add(info.Size())
	b.image.Root.SizeBytes = info.Size()
	return checkSlot("root", info.Size(), rootBytes)
}

// derived gives bytes that are the same for every build of a version, and differ between versions.
func derived(purpose, version string) []byte {
	sum := sha256.Sum256([]byte("conifer " + purpose + " " + version))
	return sum[:]
}

// derivedUUID is a UUID of RFC 9562, version 8.
func derivedUUID(purpose, version string) string {
	b := derived(purpose, version)[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return uuidText(b)
}

// uuidText writes 16 bytes in order, as the Discoverable Partitions Specification has it.
func uuidText(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// makeVerity writes the hash tree with its superblock, as a machine will that installs the release.
func (b *builder) makeVerity(ctx context.Context) error {
	salt := hex.EncodeToString(derived("verity salt", b.spec.Version))
	out, err := b.tools.run(ctx, "veritysetup", "format", "--salt="+salt, "/out/"+b.names.root, "/out/"+b.names.verity)
	if err != nil {
		return err
	}
	hash, err := rootHash(out)
	if err != nil {
		return err
	}
	b.image.Root.Hash, b.image.Root.Salt = hex.EncodeToString(hash), salt
	return b.finishVerity(hash)
}

// rootHash finds the hash in what veritysetup says.
func rootHash(out string) ([]byte, error) {
	for _, line := range lines(out) {
		value, ok := strings.CutPrefix(line, "Root hash:")
		if !ok {
			continue
		}
		hash, err := hex.DecodeString(strings.TrimSpace(value))
		if err == nil && len(hash) == sha256.Size {
			return hash, nil
		}
	}
	return nil, fault.New(fault.Internal, "veritysetup names no root hash")
}

// superblockUUIDOffset is where a verity superblock has its UUID, which no hash covers.
const superblockUUIDOffset = 16

// finishVerity sets the superblock's UUID to what every machine derives from the root hash (internal/machine/verity).
func (b *builder) finishVerity(hash []byte) error {
	f, err := os.OpenFile(filepath.Join(b.out, b.names.verity), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	uuid := append([]byte(nil), hash[:16]...)
	uuid[6] = uuid[6]&0x0f | 0x80
	uuid[8] = uuid[8]&0x3f | 0x80
	if _, err := f.WriteAt(uuid, superblockUUIDOffset); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return checkSlot("verity tree", info.Size(), verityBytes)
}
