package dm

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

func TestLayoutIsTheKernels(t *testing.T) {
	if got := binary.Size(header{}); got != headerBytes {
		t.Errorf("struct dm_ioctl has %d bytes, want %d", got, headerBytes)
	}
	if got := binary.Size(targetHeader{}); got != targetHeaderBytes {
		t.Errorf("struct dm_target_spec has %d bytes, want %d", got, targetHeaderBytes)
	}
}

func TestRequestHoldsNameAndAlignedTargets(t *testing.T) {
	b, err := request{name: "root", uuid: "U", flags: flagReadOnly, targets: []Target{
		{LengthSectors: 8, Type: "verity", Parameters: "abc"}, {StartSectors: 8, LengthSectors: 16, Type: "zero"},
	}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	put := binary.LittleEndian
	if put.Uint32(b) != 4 || put.Uint32(b[12:]) != uint32(len(b)) || put.Uint32(b[20:]) != 2 || put.Uint32(b[28:]) != 1 {
		t.Errorf("header is %x", b[:40])
	}
	if text(b[48:176]) != "root" || text(b[176:305]) != "U" {
		t.Errorf("name %q, uuid %q", text(b[48:176]), text(b[176:305]))
	}
	first := b[headerBytes:]
	if next := put.Uint32(first[20:]); next != 48 || text(first[24:40]) != "verity" || text(first[40:]) != "abc" {
		t.Errorf("first target: next %d, type %q, parameters %q", next, text(first[24:40]), text(first[40:]))
	}
	second := first[48:]
	if put.Uint64(second) != 8 || put.Uint64(second[8:]) != 16 || text(second[24:40]) != "zero" {
		t.Errorf("second target is %x", second[:48])
	}
}

func TestRequestRefusesWhatDoesNotFit(t *testing.T) {
	long := strings.Repeat("x", 128)
	for name, r := range map[string]request{
		"no name":   {},
		"long name": {name: long},
		"long type": {name: "a", targets: []Target{{Type: "sixteen-letters!"}}},
		"no type":   {name: "a", targets: []Target{{}}},
		"big table": {name: "a", targets: []Target{{Type: "zero", Parameters: strings.Repeat("p", requestBytes)}}},
	} {
		if _, err := r.encode(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnswerIsReadWithOffsetsFromTheFirstTarget(t *testing.T) {
	b := make([]byte, 512)
	put := binary.LittleEndian
	const start = 312
	for i, typ := range []string{"verity", "zero"} {
		at := start + i*64
		put.PutUint64(b[at:], uint64(i*8))
		put.PutUint64(b[at+8:], 8)
		put.PutUint32(b[at+20:], uint32((i+1)*64))
		copy(b[at+24:], typ)
		copy(b[at+40:], "p"+typ)
	}
	a := answer{header{DataStart: start, TargetCount: 2}, b}
	got, err := a.targets()
	if err != nil {
		t.Fatal(err)
	}
	want := []Target{{0, 8, "verity", "pverity"}, {8, 8, "zero", "pzero"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	a.header.TargetCount = 3
	put.PutUint32(b[start+64+20:], 490)
	if _, err := a.targets(); !fault.Is(err, fault.Corrupt) {
		t.Errorf("targets outside the answer gave %v", err)
	}
}

func TestVerityTargetNamesTheHashItEnforces(t *testing.T) {
	hash := strings.Repeat("5a", 32)
	sum, err := hex.DecodeString(hash)
	if err != nil {
		t.Fatal(err)
	}
	target := Verity(Root{Data: "/dev/vda2", Tree: "/dev/vda3", DataBlocks: 3, Hash: sum, Salt: []byte{1, 0xff}})
	want := Target{0, 24, "verity", "1 /dev/vda2 /dev/vda3 4096 4096 3 1 sha256 " + hash + " 01ff 1 panic_on_corruption"}
	if diff := cmp.Diff(want, target); diff != "" {
		t.Error(diff)
	}
	if got, err := VerityHash(target); err != nil || got != hash {
		t.Errorf("hash is %q, %v", got, err)
	}
	if _, err := VerityHash(Target{Type: "linear", Parameters: "8:1 0"}); err == nil {
		t.Error("a linear target has a root hash")
	}
	unsalted := Verity(Root{Data: "a", Tree: "b", DataBlocks: 1, Hash: sum})
	if !strings.Contains(unsalted.Parameters, hash+" - 1 panic_on_corruption") {
		t.Errorf("without salt: %s", unsalted.Parameters)
	}
}
