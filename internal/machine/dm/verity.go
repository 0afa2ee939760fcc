package dm

import (
	"encoding/hex"
	"fmt"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// blockBytes is the size of data and hash blocks that Conifer uses.
const blockBytes = 4096

const sectorBytes = 512

// Root is a dm-verity target: a data device that is readable only where it hashes to Hash.
type Root struct {
	Data, Tree string // block devices, as paths or major:minor
	DataBlocks int64  // of 4096 bytes
	Hash       []byte // of the tree's top
	Salt       []byte
}

// Verity is the target for r. The tree begins behind one block of superblock. A block with a wrong digest
// makes the kernel panic, not only the read fail: a machine whose system is not what was signed must not go on, and
// a release that arrived damaged then falls back by the boot loader's count.
func Verity(r Root) Target {
	salt := "-"
	if len(r.Salt) > 0 {
		salt = hex.EncodeToString(r.Salt)
	}
	return Target{
		LengthSectors: uint64(r.DataBlocks) * blockBytes / sectorBytes,
		Type:          "verity",
		Parameters: fmt.Sprintf("1 %s %s %d %d %d 1 sha256 %x %s 1 panic_on_corruption",
			r.Data, r.Tree, blockBytes, blockBytes, r.DataBlocks, r.Hash, salt),
	}
}

// VerityHash is the root hash that a verity target enforces.
func VerityHash(t Target) (string, error) {
	fields := strings.Fields(t.Parameters)
	if t.Type != "verity" || len(fields) < 10 {
		return "", fault.New(fault.Invalid, "a target of type %q with %d parameters is no dm-verity", t.Type, len(fields))
	}
	return fields[8], nil
}
