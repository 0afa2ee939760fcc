package gpt

import (
	"encoding/binary"
	"unicode/utf16"

	"conifer.dev/conifer/internal/fault"
)

const (
	entrySize     = 128
	maxNameUnits  = 36
	minEntryCount = 1
	maxEntryCount = 1024
)

// Entry is one partition. The zero Entry is an unused place in the table.
type Entry struct {
	Type       GUID
	Unique     GUID
	FirstLBA   uint64
	LastLBA    uint64 // inclusive
	Attributes uint64

	name [maxNameUnits]uint16 // as on the disk, so that a foreign name survives
}

// Used reports whether the place holds a partition.
func (e *Entry) Used() bool { return e.Type != GUID{} }

// Name is the partition's label.
func (e *Entry) Name() string {
	units := e.name[:]
	for i, unit := range units {
		if unit == 0 {
			units = units[:i]
			break
		}
	}
	return string(utf16.Decode(units))
}

// SetName changes the label. A label has at most 36 UTF-16 units.
func (e *Entry) SetName(name string) error {
	units := utf16.Encode([]rune(name))
	if len(units) > maxNameUnits {
		return fault.New(fault.Invalid, "partition label %q has %d UTF-16 units, want at most %d", name, len(units), maxNameUnits)
	}
	e.name = [maxNameUnits]uint16{}
	copy(e.name[:], units)
	if e.Name() != name {
		return fault.New(fault.Invalid, "partition label %q does not survive UTF-16", name)
	}
	return nil
}

func decodeEntry(b []byte) Entry {
	e := Entry{
		Type:       GUID(GUID(b[:16]).swapped()),
		Unique:     GUID(GUID(b[16:32]).swapped()),
		FirstLBA:   binary.LittleEndian.Uint64(b[32:]),
		LastLBA:    binary.LittleEndian.Uint64(b[40:]),
		Attributes: binary.LittleEndian.Uint64(b[48:]),
	}
	for i := range e.name {
		e.name[i] = binary.LittleEndian.Uint16(b[56+2*i:])
	}
	return e
}

func (e *Entry) encode(b []byte) {
	kind, unique := e.Type.swapped(), e.Unique.swapped()
	copy(b, kind[:])
	copy(b[16:], unique[:])
	binary.LittleEndian.PutUint64(b[32:], e.FirstLBA)
	binary.LittleEndian.PutUint64(b[40:], e.LastLBA)
	binary.LittleEndian.PutUint64(b[48:], e.Attributes)
	for i, unit := range e.name {
		binary.LittleEndian.PutUint16(b[56+2*i:], unit)
	}
}
