package initrd

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// options is what the kernel's command line tells.
type options struct {
	rootHash [32]byte
}

func (b *boot) readCommandLine() error {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	b.options, err = parseCommandLine(string(text))
	return err
}

func parseCommandLine(line string) (options, error) {
	var o options
	found := false
	for word := range strings.FieldsSeq(line) {
		value, ok := strings.CutPrefix(word, "roothash=")
		if !ok {
			continue
		}
		hash, err := hex.DecodeString(value)
		if err != nil || len(hash) != len(o.rootHash) {
			return o, fault.New(fault.Invalid, "roothash=%s is not %d bytes of hex", value, len(o.rootHash))
		}
		if found && [32]byte(hash) != o.rootHash {
			return o, fault.New(fault.Invalid, "the command line names two root hashes")
		}
		o.rootHash, found = [32]byte(hash), true
	}
	if !found {
		return o, fault.New(fault.Invalid, "the command line has no roothash=")
	}
	return o, nil
}

// rootUUID is the PARTUUID of the root partition: the first half of the hash.
func (o options) rootUUID() string { return uuid(o.rootHash[:16]) }

// treeUUID is the PARTUUID of the verity partition: the second half of the hash.
func (o options) treeUUID() string { return uuid(o.rootHash[16:]) }

// uuid writes 16 bytes in order, as the Discoverable Partitions Specification has it.
func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
