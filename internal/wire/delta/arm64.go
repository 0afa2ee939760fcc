package delta

import "encoding/binary"

// Place is what one arm64 instruction tells of where something is: in a field of its word.
type Place struct {
	Target uint32 // the lowest 32 bits of its address
	kind   placeKind
	shift  uint8 // of low bits: they count units of 1 << shift bytes
}

// placeKind is how an instruction tells of a place.
type placeKind uint8

const (
	branch26 placeKind = 1 + iota // B, BL: the distance in instructions
	branch19                      // B.cond, CBZ, CBNZ
	branch14                      // TBZ, TBNZ
	literal                       // LDR of a literal, PRFM
	byByte                        // ADR: the distance in bytes
	byPage                        // ADRP: the distance in pages of 4 KiB
	lowBits                       // ADD, LDR, STR after an ADRP: the place within its page
	member                        // the same after anything else: the place within a structure that a register points at
	placeKinds
)

// masks are where in a word the fields are.
var masks = [placeKinds]uint32{
	branch26: 1<<26 - 1, branch19: (1<<19 - 1) << 5, branch14: (1<<14 - 1) << 5, literal: (1<<19 - 1) << 5,
	byByte: pageMask, byPage: pageMask, lowBits: (1<<12 - 1) << 10, member: (1<<12 - 1) << 10,
}

const (
	pageMask  = 3<<29 | (1<<19-1)<<5
	pageBytes = 1 << 12
)

// kindOf tells which field an instruction has, by the tables of the Arm architecture reference manual, C4.1.
func kindOf(v uint32) (kind placeKind, shift uint8) {
	switch {
	case v&0x7c000000 == 0x14000000:
		return branch26, 0
	case v&0xff000000 == 0x54000000, v&0x7e000000 == 0x34000000:
		return branch19, 0
	case v&0x7e000000 == 0x36000000:
		return branch14, 0
	case v&0x3b000000 == 0x18000000:
		return literal, 0
	case v&0x9f000000 == 0x10000000:
		return byByte, 0
	case v&0x9f000000 == 0x90000000:
		return byPage, 0
	case v&0xffc00000 == 0x91000000: // ADD of 64 bits
		return lowBits, 0
	case v&0x3b000000 == 0x39000000: // a load or a store
		shift = uint8(v >> 30)
		if v&0x04800000 == 0x04800000 { // of 128 bits
			shift += 4
		}
		return lowBits, min(shift, 4)
	}
	return 0, 0
}

// signed is a field of bits as a number.
func signed(v uint32, at, bits uint) uint32 { return uint32(int32(v<<(32-at-bits)) >> (32 - bits)) }

// pages is the field of ADR and ADRP.
func pages(v uint32) uint32 { return signed(v, 5, 19)<<2 | v>>29&3 }

// pagesField is the inverse of pages.
func pagesField(n uint32) uint32 { return n>>2&(1<<19-1)<<5 | n<<29 }

// told is what the field of an instruction at an address tells by itself: of low bits no more than these.
func (p Place) told(v, address uint32) uint32 {
	switch p.kind {
	case branch26:
		return address + signed(v, 0, 26)<<2
	case branch19, literal:
		return address + signed(v, 5, 19)<<2
	case branch14:
		return address + signed(v, 5, 14)<<2
	case byByte:
		return address + pages(v)
	case byPage:
		return address&^(pageBytes-1) + pages(v)<<12
	}
	return v >> 10 & (1<<12 - 1) << p.shift
}

// Instruction is the instruction v at an address, with a field that tells of the target.
func (p Place) Instruction(v, target, address uint32) uint32 {
	d, field := target-address, uint32(0)
	switch p.kind {
	case branch26:
		field = d >> 2
	case branch19, branch14, literal:
		field = d >> 2 << 5
	case lowBits:
		field = target & (pageBytes - 1) >> p.shift << 10
	case byByte:
		field = pagesField(d)
	case byPage:
		field = pagesField(uint32(int32(target&^(pageBytes-1)-address&^(pageBytes-1)) >> 12))
	default:
		field = target >> p.shift << 10
	}
	return v&^masks[p.kind] | field&masks[p.kind]
}

// Meaning is the instruction with a field that depends on the target, but not on where the instruction is.
func (p Place) Meaning(v, target uint32) uint32 {
	return v&^masks[p.kind] | hash(target, uint32(p.kind))&masks[p.kind]
}

// isField reports whether two instructions differ in the field only.
func (p Place) isField(a, b uint32) bool { return (a^b)&^masks[p.kind] == 0 }

func instruction(code []byte, i int) uint32 { return binary.LittleEndian.Uint32(code[i:]) }

// PlaceAt finds the place that the instruction at i of the code tells of, which has the address. What a linker fills in is none yet.
func PlaceAt(code []byte, i int, address uint32) (Place, bool) {
	v := instruction(code, i)
	p := Place{}
	p.kind, p.shift = kindOf(v)
	switch p.kind {
	case 0:
		return p, false
	case byPage:
		p.Target = p.told(v, address) + pageUse(code, i, v&31)
		return p, v&pageMask != 0 || p.Target&(pageBytes-1) != 0
	case lowBits:
		low := p.told(v, address)
		if low >= pageBytes {
			return p, false
		}
		page, distant, ok := pageOf(code, i, address, v>>5&31)
		p.Target = page + low
		return p, ok && (distant || low != 0)
	}
	p.Target = p.told(v, address)
	return p, v&masks[p.kind] != 0
}

// asMember takes low bits that belong to no page in sight for what they are then, unless they are on the stack.
func (p Place) asMember(v uint32) (Place, bool) {
	const stack = 31
	if p.kind != lowBits || v>>5&31 == stack {
		return p, false
	}
	p.kind, p.Target = member, p.told(v, 0)
	return p, true
}

// pageReach is how many instructions from an ADRP it is looked for who uses its register.
const pageReach = 32

// pageUse is the place within its page that the ADRP at i is for, as far as that is in sight.
func pageUse(code []byte, i int, register uint32) uint32 {
	for k := i + 4; k+4 <= len(code) && k <= i+4*pageReach; k += 4 {
		v := instruction(code, k)
		if kind, shift := kindOf(v); kind == lowBits && v>>5&31 == register {
			if low := (Place{kind: kind, shift: shift}).told(v, 0); low < pageBytes {
				return low
			}
		}
		if sets(v, register) {
			return 0
		}
	}
	return 0
}

// pageOf finds the page that a register holds before the instruction at i, and whether it is another than that of its ADRP.
func pageOf(code []byte, i int, address uint32, register uint32) (page uint32, distant, ok bool) {
	for k := i - 4; k >= 0 && k >= i-4*pageReach; k -= 4 {
		v := instruction(code, k)
		if v&0x9f00001f == 0x90000000|register {
			return Place{kind: byPage}.told(v, address-uint32(i-k)), v&pageMask != 0, true
		}
		if sets(v, register) {
			return 0, false, false
		}
	}
	return 0, false, false
}

// lastScratch is the last of the registers that a called function need not keep.
const lastScratch = 18

// sets reports whether an instruction gives a register another value, as far as that matters after an ADRP.
func sets(v, register uint32) bool {
	switch v >> 25 & 15 {
	case 8, 9, 5, 13: // of numbers, in one register
		return v&31 == register
	case 10, 11: // branches: calls
		return (v&0xfc000000 == 0x94000000 || v&0xfffffc1f == 0xd63f0000) && register <= lastScratch
	case 4, 12: // loads and stores of numbers
		if v&0x3a000000 == 0x28000000 { // of two
			return v&(1<<22) != 0 && (v&31 == register || v>>10&31 == register)
		}
		return v&0x00c00000 != 0 && v&31 == register
	}
	return false
}
