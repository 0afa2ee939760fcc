package dm

import (
	"encoding/binary"

	"conifer.dev/conifer/internal/fault"
)

// header is struct dm_ioctl.
type header struct {
	Version     [3]uint32
	DataSize    uint32 // of header and payload together
	DataStart   uint32 // offset of the first target
	TargetCount uint32
	OpenCount   int32
	Flags       uint32
	EventNumber uint32
	_           uint32
	Device      uint64
	Name        [128]byte
	UUID        [129]byte
	_           [7]byte
}

const headerBytes = 312

// targetHeader is struct dm_target_spec; the parameters follow it as a C string. Next is the offset of the
// next target: from this one in a request, from the first one in an answer.
type targetHeader struct {
	StartSectors  uint64
	LengthSectors uint64
	Status        int32
	Next          uint32
	Type          [16]byte
}

const targetHeaderBytes = 40

type request struct {
	name, uuid string
	flags      uint32
	targets    []Target
}

func (r request) encode() ([]byte, error) {
	h := header{
		Version: [3]uint32{4, 0, 0}, DataSize: requestBytes, DataStart: headerBytes,
		TargetCount: uint32(len(r.targets)), Flags: r.flags,
	}
	if r.name == "" || len(r.name) >= len(h.Name) || len(r.uuid) >= len(h.UUID) {
		return nil, fault.New(fault.Invalid, "device name %q or UUID %q is empty or too long", r.name, r.uuid)
	}
	copy(h.Name[:], r.name)
	copy(h.UUID[:], r.uuid)
	buffer, err := binary.Append(make([]byte, 0, requestBytes), binary.LittleEndian, h)
	if err != nil {
		return nil, err
	}
	for _, t := range r.targets {
		if buffer, err = t.append(buffer); err != nil {
			return nil, err
		}
	}
	if len(buffer) > requestBytes {
		return nil, fault.New(fault.Invalid, "the table has %d bytes, at most %d fit", len(buffer), requestBytes)
	}
	return buffer[:requestBytes], nil
}

func (t Target) append(buffer []byte) ([]byte, error) {
	parameters := append([]byte(t.Parameters), 0)
	for len(parameters)%8 != 0 {
		parameters = append(parameters, 0)
	}
	h := targetHeader{StartSectors: t.StartSectors, LengthSectors: t.LengthSectors, Next: uint32(targetHeaderBytes + len(parameters))}
	if t.Type == "" || len(t.Type) >= len(h.Type) {
		return nil, fault.New(fault.Invalid, "target type %q is empty or too long", t.Type)
	}
	copy(h.Type[:], t.Type)
	buffer, err := binary.Append(buffer, binary.LittleEndian, h)
	return append(buffer, parameters...), err
}

type answer struct {
	header header
	buffer []byte
}

func (a *answer) targets() ([]Target, error) {
	var list []Target
	first := int(a.header.DataStart)
	for at, i := first, uint32(0); i < a.header.TargetCount; i++ {
		if at < 0 || at > len(a.buffer)-targetHeaderBytes {
			return nil, fault.New(fault.Corrupt, "target %d stands outside the kernel's answer", i)
		}
		var h targetHeader
		if _, err := binary.Decode(a.buffer[at:], binary.LittleEndian, &h); err != nil {
			return nil, err
		}
		list = append(list, Target{h.StartSectors, h.LengthSectors, text(h.Type[:]), text(a.buffer[at+targetHeaderBytes:])})
		at = first + int(h.Next)
	}
	return list, nil
}
