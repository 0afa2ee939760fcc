package gpt

import (
	"encoding/hex"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// GUID is an identifier in the order of its text form; on the disk its first three groups are little endian.
type GUID [16]byte

// The partition types of the Discoverable Partitions Specification that a Conifer disk has.
var (
	TypeESP         = must("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	TypeRootX86     = must("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
	TypeVerityX86   = must("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
	TypeRootARM64   = must("b921b045-1df0-41c3-af44-4c6f280d3fae")
	TypeVerityARM64 = must("df3300ce-d69f-4c92-978c-9bfb0f38d820")
	TypeVar         = must("4d21b016-b534-45c2-a9fb-5c16e091fd2d")
)

func must(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// ParseGUID reads the text form, 8-4-4-4-12 hex digits.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(g) {
		return g, fault.New(fault.Invalid, "%q is no GUID", s)
	}
	copy(g[:], b)
	if !strings.EqualFold(g.String(), s) {
		return GUID{}, fault.New(fault.Invalid, "%q is no GUID", s)
	}
	return g, nil
}

func (g GUID) String() string {
	h := hex.EncodeToString(g[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// swapped exchanges the order of the text and the order on the disk, in either direction.
func (g GUID) swapped() [16]byte {
	return [16]byte{
		g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6],
		g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15],
	}
}
