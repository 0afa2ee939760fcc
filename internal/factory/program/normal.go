package program

import (
	"debug/elf"
	"encoding/binary"
	"hash/fnv"

	"conifer.dev/conifer/internal/wire/delta"
)

// Normal rewrites both files so that words that name the same place are equal: r tells by its pieces where the old places have gone.
// Both keep their size.
func (p *Pair) Normal(r *delta.Region) (old, new []byte) {
	move := r.Mover()
	stay := func(a uint32) (uint32, bool) { return a, true }
	return p.old.normal(move), p.new.normal(stay)
}

// mover tells where an address has gone.
type mover func(uint32) (uint32, bool)

func (f *file) normal(move mover) []byte {
	out := append([]byte{}, f.bytes...)
	if f.isObject {
		f.object(out, move)
	} else {
		f.words(out, move)
	}
	for _, span := range f.code {
		if span.Machine == delta.Arm64 {
			f.places(out, span, move)
		} else {
			f.operands(out, span, move)
		}
	}
	return out
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

func put(b []byte, i int, v uint32) { binary.LittleEndian.PutUint32(b[i:], v) }

func (f *file) address(offset int) uint32 { return delta.AddressOf(f.spaces, int64(offset)) }

// places replaces the fields of arm64 instructions that tell of places.
func (f *file) places(out []byte, span delta.Span, move mover) {
	code := f.bytes[:span.Offset+span.SizeBytes]
	for i := int(span.Offset); i+4 <= len(code); i += 4 {
		if p, ok := delta.PlaceAt(code, i, f.address(i)); ok {
			if t, ok := move(p.Target); ok {
				put(out, i, p.Meaning(word(f.bytes, i), t))
			}
		}
	}
}

// operands replaces the operands of calls, jumps and accesses.
func (f *file) operands(out []byte, span delta.Span, move mover) {
	end := int(span.Offset + span.SizeBytes)
	for i := int(span.Offset); i+4 <= end; {
		k, absolute := delta.Operand(f.bytes[:end], i, f.fixedRange())
		if k+4 > end {
			return
		}
		if k == i+delta.OperandReach {
			i = k
			continue
		}
		from := word(f.bytes, k)
		if !absolute {
			from += f.address(k)
		}
		if t, ok := move(from); ok {
			put(out, k, t)
		}
		i = k + 4
	}
}

func (f *file) fixedRange() [2]uint32 {
	if f.fixed {
		return [2]uint32{f.low, f.high}
	}
	return [2]uint32{}
}

// farthest is the longest distance that is taken for one.
const farthest = 1 << 27

// words replaces the words of data that can be distances from where they stand, from the beginning, or addresses.
func (f *file) words(out []byte, move mover) {
	code := f.code
	for i := 0; i+4 <= len(f.bytes); i += 4 {
		for len(code) > 0 && int64(i) >= code[0].Offset+code[0].SizeBytes {
			code = code[1:]
		}
		if len(code) > 0 && int64(i) >= code[0].Offset {
			continue
		}
		v := word(f.bytes, i)
		target, found := uint32(0), true
		switch d := int32(v); {
		case f.unwinds(i):
			target = f.unwind.Address + v
		case f.fixed && f.ascends(i, v):
			target = f.low + v
		case (d >= 4096 || d <= -4096) && d < farthest && d > -farthest && f.has(f.address(i)+v) && (f.fixed || d < 0):
			target = f.address(i) + v
		case f.has(v) && (f.fixed || v >= 4096):
			target = v
		default:
			found = false
		}
		if !found {
			continue
		}
		if t, ok := move(target); ok {
			put(out, i, t)
		}
	}
}

// unwinds reports whether i is in the table for unwinding, behind its head.
func (f *file) unwinds(i int) bool {
	at := int64(i) - f.unwind.Offset
	return at >= 12 && at < f.unwind.SizeBytes
}

func (f *file) has(address uint32) bool { return address >= f.low && address < f.high }

// ascends reports whether the words around i are distances from the lowest address, in ascending order.
func (f *file) ascends(i int, v uint32) bool {
	if i < 4 || i+8 > len(f.bytes) || v < 4096 || v >= f.high-f.low {
		return false
	}
	return v-word(f.bytes, i-4) < 1<<16 && word(f.bytes, i+4)-v < 1<<16
}

// object replaces symbols and relocations of a file that is not linked by what they are about.
func (f *file) object(out []byte, move mover) {
	symbols := f.symbols(out, move)
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_RELA || !within(s.Offset, s.Size, f.bytes) || int(s.Info) >= len(f.elf.Sections) {
			continue
		}
		into := f.elf.Sections[s.Info]
		inCode := into.Flags&elf.SHF_EXECINSTR != 0
		for i := int(s.Offset); i+24 <= int(s.Offset+s.Size); i += 24 {
			f.relocation(out, i, uint32(into.Offset), inCode, symbols, move)
		}
	}
}

// symbol is what a relocation is about.
type symbol struct {
	name uint32 // a hash of it
	base uint32 // of a section's symbol, where the section begins
	is   bool   // a section's
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// symbols lists the symbols, and replaces their entries.
func (f *file) symbols(out []byte, move mover) (all []symbol) {
	table := f.elf.SectionByType(elf.SHT_SYMTAB)
	if table == nil || !within(table.Offset, table.Size, f.bytes) || int(table.Link) >= len(f.elf.Sections) {
		return nil
	}
	names, err := f.elf.Sections[table.Link].Data()
	if err != nil {
		return nil
	}
	for i := int(table.Offset); i+24 <= int(table.Offset+table.Size); i += 24 {
		section := int(f.bytes[i+6]) | int(f.bytes[i+7])<<8
		s := symbol{name: hash(nameAt(names, word(f.bytes, i)))}
		if section > 0 && section < len(f.elf.Sections) {
			at := f.elf.Sections[section]
			if f.bytes[i+4]&15 == byte(elf.STT_SECTION) {
				s = symbol{hash(at.Name), uint32(at.Offset), true}
			}
			if t, ok := move(uint32(at.Offset) + word(f.bytes, i+8)); ok {
				put(out, i+8, t)
			}
		}
		put(out, i, s.name)
		all = append(all, s)
	}
	return all
}

func nameAt(names []byte, at uint32) string {
	if int64(at) >= int64(len(names)) {
		return ""
	}
	end := int(at)
	for end < len(names) && names[end] != 0 {
		end++
	}
	return string(names[at:end])
}

// relocation replaces one. Where it is counts only in code: the tables beside it are one entry after the other.
func (f *file) relocation(out []byte, i int, base uint32, inCode bool, symbols []symbol, move mover) {
	put(out, i, 0)
	if inCode {
		if t, ok := move(base + word(f.bytes, i)); ok {
			put(out, i, t)
		}
	}
	if n := int(word(f.bytes, i+12)); n < len(symbols) {
		put(out, i+12, symbols[n].name)
		if symbols[n].is {
			if t, ok := move(symbols[n].base + word(f.bytes, i+16)); ok {
				put(out, i+16, t)
			}
		}
	}
}
