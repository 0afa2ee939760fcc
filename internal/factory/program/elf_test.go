package program

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"conifer.dev/conifer/internal/wire/delta"
)

// section is one of a file in the making.
type section struct {
	name       string
	kind       elf.SectionType
	flags      elf.SectionFlag
	link, info uint32
	data       []byte
}

// file64 writes an ELF file for arm64 whose bytes are loaded from an address on, if it is one.
func file64(kind elf.Type, address uint64, sections ...section) []byte {
	sections = append(append([]section{{}}, sections...), section{name: ".shstrtab", kind: elf.SHT_STRTAB})
	names, headers := []byte{}, []elf.Section64{}
	body := make([]byte, 64+56)
	names = append(names, 0)
	for i, s := range sections {
		h := elf.Section64{Name: uint32(len(names)), Type: uint32(s.kind), Flags: uint64(s.flags), Link: s.link, Info: s.info, Off: uint64(len(body))}
		if i > 0 {
			names = append(append(names, s.name...), 0)
		}
		if s.name == ".shstrtab" {
			s.data = names
		}
		h.Size, h.Addr = uint64(len(s.data)), address+h.Off
		body = append(body, s.data...)
		body = append(body, make([]byte, -len(body)&7)...)
		headers = append(headers, h)
	}
	head := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(kind), Machine: uint16(elf.EM_AARCH64), Version: 1,
		Phoff: 64, Shoff: uint64(len(body)), Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: uint16(len(sections) - 1),
	}
	load := elf.Prog64{Type: uint32(elf.PT_LOAD), Vaddr: address, Filesz: uint64(len(body)), Memsz: uint64(len(body))}
	var out bytes.Buffer
	for _, part := range []any{head, load, body[64+56:], headers} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			panic(err) // the types are of fixed size
		}
	}
	return out.Bytes()
}

func words(all ...uint32) (b []byte) {
	for _, v := range all {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// code is of section .text.
func code(all ...uint32) section {
	return section{name: ".text", kind: elf.SHT_PROGBITS, flags: elf.SHF_EXECINSTR, data: words(all...)}
}

// executable is a program with a table for unwinding, and two instructions that use the text after them; before it lie gap bytes.
func executable(gap int) []byte {
	const adrp, add = 0x90000000, 0x91000000
	const table, rodata = 0x88, 0xa0 // where they are without the gap
	text := section{name: ".rodata", kind: elf.SHT_PROGBITS, data: []byte("evergreen")}
	unwind := section{name: ".eh_frame_hdr", kind: elf.SHT_PROGBITS, data: words(0, 0, 1, uint32(0x78-table-gap), rodata-table)}
	return file64(elf.ET_DYN, 0, code(adrp, add|uint32(rodata+gap)<<10, 0xd65f03c0), section{name: ".gap", kind: elf.SHT_PROGBITS, data: make([]byte, gap)}, unwind, text)
}

// Instructions that use a place tell of the same after it has moved, and so do tables for unwinding.
func TestNormalOfMovedText(t *testing.T) {
	const gap = 64
	old, now := executable(0), executable(gap)
	pair, ok := Open(old, now)
	if !ok {
		t.Fatal("it is no program")
	}
	text, table := int64(pair.old.elf.Section(".text").Offset), int64(pair.old.elf.Section(".eh_frame_hdr").Offset)
	rest := int64(len(old)) - table
	r := &delta.Region{SizeBytes: int64(len(now)), Pieces: []delta.Piece{{SizeBytes: table}, {From: delta.New, SizeBytes: gap}, {From: table, SizeBytes: rest}}}
	pair.Region(r)
	if len(r.Code) != 1 || r.Code[0] != (delta.Span{Offset: text, SizeBytes: 12, Machine: delta.Arm64}) {
		t.Errorf("code is %v", r.Code)
	}
	if len(r.Bases) != 3 || int64(r.Bases[2].Old) != table || int64(r.Bases[2].New) != table+gap {
		t.Errorf("bases are %v", r.Bases)
	}
	a, b := pair.Normal(r)
	if !bytes.Equal(a[text:text+12], b[text:text+12]) {
		t.Errorf("code means %x, want %x", a[text:text+12], b[text:text+12])
	}
	entry := table + 12
	if !bytes.Equal(a[entry:entry+8], b[entry+gap:entry+gap+8]) {
		t.Errorf("the table means %x, want %x", a[entry:entry+8], b[entry+gap:entry+gap+8])
	}
}

// object is a module whose function calls another, which has a number among the symbols.
func object(called uint32) []byte {
	symbols := make([]byte, 24*4)
	for i := range 4 {
		name := uint32(1)
		if uint32(i) == called {
			name = 6
		}
		copy(symbols[24*i:], words(name))
	}
	relocation := words(0, 0, uint32(elf.R_AARCH64_CALL26), called, 0, 0)
	return file64(elf.ET_REL, 0, code(0x94000000),
		section{name: ".strtab", kind: elf.SHT_STRTAB, data: []byte("\x00some\x00called\x00")},
		section{name: ".symtab", kind: elf.SHT_SYMTAB, link: 2, data: symbols},
		section{name: ".rela.text", kind: elf.SHT_RELA, link: 3, info: 1, data: relocation})
}

// A relocation tells of a symbol by its name, and an instruction that is to be linked of nothing yet.
func TestNormalOfObjects(t *testing.T) {
	old, now := object(1), object(2)
	pair, ok := Open(old, now)
	if !ok {
		t.Fatal("it is no program")
	}
	r := &delta.Region{SizeBytes: int64(len(now)), Pieces: []delta.Piece{{SizeBytes: int64(len(old))}}}
	pair.Region(r)
	a, b := pair.Normal(r)
	at := pair.old.elf.Section(".rela.text").Offset
	if !bytes.Equal(a[at:at+24], b[at:at+24]) || bytes.Equal(old[at:at+24], now[at:at+24]) {
		t.Errorf("%x means %x, %x means %x", old[at:at+24], a[at:at+24], now[at:at+24], b[at:at+24])
	}
	text := pair.old.elf.Section(".text").Offset
	if !bytes.Equal(a[text:text+4], words(0x94000000)) {
		t.Errorf("a call that is to be linked means %x", a[text:text+4])
	}
}
