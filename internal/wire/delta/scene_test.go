package delta

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// An address in code where no base is told is one like any other word.
func TestCodeWithoutBases(t *testing.T) {
	old := make([]byte, 64)
	binary.LittleEndian.PutUint32(old[16:], 1<<30+5)
	plan := &Plan{OldSizeBytes: 64, SizeBytes: 64, Regions: []Region{{
		SizeBytes: 64, Pieces: []Piece{{0, 64}},
		OldSpaces: []Space{{SizeBytes: 64, Address: 1 << 30}}, NewSpaces: []Space{{SizeBytes: 64, Address: 1 << 30}},
		Code: []Span{{SizeBytes: 64}},
	}}}
	data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(old))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := Apply(&got, bytes.NewReader(old), 64, data, 64); err != nil || !bytes.Equal(got.Bytes(), old) {
		t.Fatal(err)
	}
}
