package delta

// Space is a run of a file's bytes that has addresses when the program runs.
type Space struct {
	Offset, SizeBytes int64  // in the file
	Address           uint32 // the lowest 32 bits
}

// MaxBases is how many bases a region can have.
const MaxBases = 8

// Base is an address that others are counted from: the beginning of a section, or 0.
type Base struct{ Old, New, SizeBytes uint32 }

// has reports whether a word can be a distance from the base to an address.
func (b *Base) has(v uint32) bool { return v < b.SizeBytes }

// based tells what becomes of a distance from a base. A region need not have any.
func (s *scene) based(k int, v uint32) (uint32, bool) {
	if k >= len(s.bases) {
		return 0, false
	}
	t, ok := s.move(s.bases[k].Old + v)
	return t - s.bases[k].New, ok
}

// Span is a run of a file's bytes that are instructions.
type Span struct {
	Offset, SizeBytes int64
	Machine           Machine
}

// Machine is what instructions are for.
type Machine uint8

// The machines. Instructions of others are data.
const (
	X8664 Machine = iota
	Arm64
)

// scene is the region that is being coded: what is known of all of it before its first byte.
type scene struct {
	oldAt           int64 // where the old file begins
	nowAt           int64
	old, new        []Space
	code            []Span // of the old file
	lowest, highest uint32

	moved moves
	bases []Base

	inCode bool  // the field that was found last is in code,
	wide   bool  // and an address, not a distance,
	place  Place // or a place of an instruction
}

// fixed is the lowest address of a program that is not moved when it is started: a kernel. Elsewhere a word is no address as such.
const fixed = 1 << 30

func newScene(r *Region, nowAt int64) *scene {
	s := &scene{oldAt: r.OldAt, nowAt: nowAt, old: r.OldSpaces, new: r.NewSpaces, code: r.Code, bases: r.Bases[:min(len(r.Bases), MaxBases)]}
	s.lowest, s.highest = ^uint32(0), 0
	for _, sp := range s.old {
		if sp.Address >= fixed {
			s.lowest, s.highest = min(s.lowest, sp.Address), max(s.highest, sp.Address+uint32(sp.SizeBytes))
		}
	}
	if r.isProgram() {
		s.moved = newMoves(r.Pieces, s.oldAt)
	}
	return s
}

// MaxSpaces is how many spaces, and spans of code, a region can have.
const MaxSpaces = 32

// AddressOf is the address of a byte of a file; outside all spaces its offset.
func AddressOf(spaces []Space, offset int64) uint32 {
	for i := range spaces {
		if d := offset - spaces[i].Offset; d >= 0 && d < spaces[i].SizeBytes {
			return spaces[i].Address + uint32(d)
		}
	}
	return uint32(offset)
}

func (s *scene) oldAddress(at int64) uint32 { return AddressOf(s.old, at-s.oldAt) }
func (s *scene) newAddress(at int64) uint32 { return AddressOf(s.new, at-s.nowAt) }

// move tells where an address of the old file has gone.
func (s *scene) move(address uint32) (uint32, bool) {
	offset := int64(-1)
	for i := range s.old {
		if d := address - s.old[i].Address; int64(d) < s.old[i].SizeBytes {
			offset = s.old[i].Offset + int64(d)
			break
		}
	}
	if offset < 0 {
		return 0, false
	}
	to, ok := s.moved.at(offset)
	return AddressOf(s.new, to), ok
}

// target is the place that the word v tells of where it is found: of a distance, where it leads.
func (s *scene) target(v uint32, oldAt int64) uint32 {
	if s.place.kind != 0 {
		return s.place.Target
	}
	return v + s.oldAddress(oldAt)
}

// word is what becomes of the word v when it tells of a place of the new file.
func (s *scene) word(v, target uint32, nowAt int64) uint32 {
	if s.place.kind != 0 {
		return s.place.Instruction(v, target, s.newAddress(nowAt))
	}
	return target - s.newAddress(nowAt)
}

// leads is the place that the new word got tells of, and false when it tells of none.
func (s *scene) leads(v, got uint32, nowAt int64) (uint32, bool) {
	if s.place.kind != 0 {
		return s.place.told(got, s.newAddress(nowAt)), s.place.isField(v, got)
	}
	return got + s.newAddress(nowAt), true
}

// moveWord tells where the place has gone that the word v tells of. Members of structures have gone nowhere.
func (s *scene) moveWord(v uint32, oldAt int64) (uint32, bool) {
	if s.place.kind == member {
		return s.place.Target, true
	}
	return s.move(s.target(v, oldAt))
}

// codeAt is the span of code that a place of the old image is in, or nil.
func (s *scene) codeAt(oldAt int64) *Span {
	at := oldAt - s.oldAt
	for i := range s.code {
		if span := &s.code[i]; at >= span.Offset && at < span.Offset+span.SizeBytes {
			return span
		}
	}
	return nil
}

// field is where the next word begins, from i on; len(old) when there is none in sight.
func (s *scene) field(old []byte, i int, oldAt int64) int {
	at := oldAt + int64(i) - s.oldAt
	span := s.codeAt(oldAt + int64(i))
	if s.inCode = span != nil; !s.inCode {
		s.wide, s.place = false, Place{}
		return i + int(-at&3)
	}
	end := min(len(old), i+int(span.Offset+span.SizeBytes-at))
	if span.Machine == Arm64 {
		return s.instruction(old[:end], i, int(-(at-span.Offset)&3), oldAt)
	}
	s.place = Place{}
	return s.operand(old[:end], i)
}

// operand looks for the next operand from i on.
func (s *scene) operand(old []byte, i int) int {
	k, wide := Operand(old, i, [2]uint32{s.lowest, s.highest})
	s.wide = wide
	return k
}

// instruction looks for the next instruction of arm64 that tells of a place, from i on; skip is how far the next instruction is.
func (s *scene) instruction(old []byte, i, skip int, oldAt int64) int {
	s.wide = false
	if skip > 0 {
		return min(len(old), i+skip)
	}
	for k := i; k < i+instructionReach; k += 4 {
		if k+4 > len(old) {
			return len(old)
		}
		p, ok := PlaceAt(old, k, s.oldAddress(oldAt+int64(k)))
		if !ok {
			p, ok = p.asMember(instruction(old, k))
		}
		if ok {
			s.place = p
			return k
		}
	}
	return i + instructionReach
}

// instructionReach is how many bytes of arm64 code are looked at at a time.
const instructionReach = 8

// OperandReach is how far [Operand] looks.
const OperandReach = 9

// Operand finds the next 32 bits of x86-64 instructions that tell where something is, from i on: as a distance, or, when they lie in
// the range, as an address. It gives i + OperandReach when there is none nearer, and the end of the code when that is nearer.
func Operand(code []byte, i int, addresses [2]uint32) (at int, absolute bool) {
	for k := i; k < i+OperandReach; k++ {
		if k+4 > len(code) {
			return len(code), false
		}
		if k >= 1 && isOperand(code, k) {
			return k, false
		}
		v := uint32(code[k]) | uint32(code[k+1])<<8 | uint32(code[k+2])<<16 | uint32(code[k+3])<<24
		if v >= addresses[0] && v < addresses[1] {
			return k, true
		}
	}
	return i + OperandReach, false
}

// isOperand reports whether the four bytes at k are the operand of a call, a jump, or an access relative to the instruction.
func isOperand(b []byte, k int) bool {
	top := b[k+3]
	if top != 0 && top != 0xff && top != 1 && top != 0xfe && top != 2 && top != 0xfd {
		return false
	}
	switch op := b[k-1]; {
	case op == 0xe8 || op == 0xe9:
		return true
	case op&0xf0 == 0x80 && k >= 2 && b[k-2] == 0x0f:
		return true
	case op&0xc7 == 0x05 && k >= 2:
		switch b[k-2] {
		case 0x8b, 0x8d, 0x89, 0x03, 0x2b, 0x3b, 0x39, 0x83, 0x80, 0xc7, 0xc6, 0xff, 0x01, 0x29, 0x85, 0x88, 0x8a, 0x63, 0x81, 0xb6, 0xb7, 0xbe, 0x10, 0x11, 0x28, 0x29 + 0x40, 0x6f, 0x7f, 0x38, 0x3a, 0xf6, 0xf7, 0x0b, 0x23, 0x33, 0x13, 0x1b, 0xc1, 0x87, 0xb1, 0xbf, 0x44, 0x45:
			return true
		}
	}
	return false
}

// Mover tells by the region's pieces where an address of the old file has gone, false for what is none.
func (r *Region) Mover() func(address uint32) (uint32, bool) {
	return newScene(r, 0).move
}
