package initrd

import (
	"encoding/hex"
	"os"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/slots/gpt"
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

// rootGUID is the PARTUUID of the root partition: the first half of the hash, as the Discoverable Partitions
// Specification has it.
func (o options) rootGUID() gpt.GUID { return gpt.GUID(o.rootHash[:16]) }

// treeGUID is the PARTUUID of the verity partition: the second half of the hash.
func (o options) treeGUID() gpt.GUID { return gpt.GUID(o.rootHash[16:]) }
