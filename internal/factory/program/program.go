// Package program knows what a program tells of itself, so that two builds of a program can be compared by what they mean rather
// than by their bytes: which bytes are instructions, which addresses they have, and which words name a place in the program.
//
// Start with [Pair.Region], which fills in what package delta must know to predict those words, and [Pair.Normal], which rewrites
// both files so that words that name the same place are equal, wherever it has gone: with it one finds the pieces that two builds have in
// common even in tables whose every entry has changed. Programs are ELF files and kernels of arm64; files that
// are neither, or are broken, are no programs, and nothing here fails. The formats are those of the System V ABI, gABI chapter 4, and of the Linux kernel's tables.
package program

import (
	"bytes"
	"debug/elf"

	"conifer.dev/conifer/internal/wire/delta"
)

// Pair is an old and a new build of one program.
type Pair struct {
	old, new file
}

// file is one of them.
type file struct {
	bytes    []byte
	elf      *elf.File // nil when it is none
	machine  elf.Machine
	spaces   []delta.Space
	code     []delta.Span
	isObject bool        // not linked: a kernel module
	unwind   delta.Space // the table whose words are distances from its beginning to functions and to how they are unwound
	fixed    bool        // runs at the addresses that it states: a kernel
	low      uint32
	high     uint32
}

// fixed is the lowest address of a program that is not moved when it is started.
const fixedAddress = 1 << 30

// Open takes two files for builds of one program, unless they are not.
func Open(old, new []byte) (*Pair, bool) {
	a, okOld := parse(old)
	b, okNew := parse(new)
	if !okOld || !okNew || a.isObject != b.isObject || a.fixed != b.fixed || a.machine != b.machine || (a.elf == nil) != (b.elf == nil) {
		return nil, false
	}
	return &Pair{a, b}, true
}

// machines are those whose instructions are understood.
var machines = map[elf.Machine]delta.Machine{elf.EM_X86_64: delta.X8664, elf.EM_AARCH64: delta.Arm64}

func parse(b []byte) (file, bool) {
	if !bytes.HasPrefix(b, []byte(elf.ELFMAG)) {
		return image(b)
	}
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil || f.ByteOrder.String() != "LittleEndian" || f.Class != elf.ELFCLASS64 {
		return file{}, false
	}
	p := file{bytes: b, elf: f, machine: f.Machine, isObject: f.Type == elf.ET_REL, low: ^uint32(0)}
	machine, known := machines[f.Machine]
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_EXECINSTR != 0 && s.Type == elf.SHT_PROGBITS && within(s.Offset, s.Size, b) && s.Size > 0 && known {
			p.code = append(p.code, delta.Span{Offset: int64(s.Offset), SizeBytes: int64(s.Size), Machine: machine})
		}
	}
	if p.isObject {
		p.spaces = []delta.Space{{SizeBytes: int64(len(b))}}
		p.low, p.high = 0, uint32(len(b))
		return p, true
	}
	// Linux Standard Base, core, 10.6.2; the table begins with its version and its sizes.
	if s := f.Section(".eh_frame_hdr"); s != nil && within(s.Offset, s.Size, b) {
		p.unwind = delta.Space{Offset: int64(s.Offset), SizeBytes: int64(s.Size), Address: uint32(s.Addr)}
	}
	for _, s := range f.Progs {
		if s.Type != elf.PT_LOAD || s.Filesz == 0 || !within(s.Off, s.Filesz, b) {
			continue
		}
		p.spaces = append(p.spaces, delta.Space{Offset: int64(s.Off), SizeBytes: int64(s.Filesz), Address: uint32(s.Vaddr)})
		if uint32(s.Vaddr) >= fixedAddress {
			p.fixed = true
		}
	}
	for _, s := range p.spaces {
		if !p.fixed || s.Address >= fixedAddress {
			p.low, p.high = min(p.low, s.Address), max(p.high, s.Address+uint32(s.SizeBytes))
		}
	}
	return p, len(p.spaces) > 0 && len(p.spaces) <= delta.MaxSpaces && len(p.code) <= delta.MaxSpaces
}

func within(offset, size uint64, b []byte) bool {
	return offset <= uint64(len(b)) && size <= uint64(len(b))-offset
}

// Region fills in what the delta of a region must know of a program.
func (p *Pair) Region(r *delta.Region) {
	r.OldSpaces, r.NewSpaces, r.Code = p.old.spaces, p.new.spaces, p.old.code
	r.Bases = p.bases()
}

// objectBases are the sections of a kernel module that others count from, in the order of how much they do.
var objectBases = []string{".text", ".strtab", ".text.unlikely", ".init.text", ".rodata", ".data", ".rodata.str1.8"}

func (p *Pair) bases() (all []delta.Base) {
	switch {
	case p.old.isObject:
		all = append(all, delta.Base{})
		for _, name := range objectBases {
			all = p.section(all, name, func(s *elf.Section) uint32 { return uint32(s.Offset) })
		}
	case p.old.fixed:
		all = append(all, delta.Base{SizeBytes: p.old.high}, delta.Base{Old: p.old.low, New: p.new.low, SizeBytes: p.old.high - p.old.low})
	default:
		all = append(all, delta.Base{SizeBytes: p.old.high})
		all = p.section(all, ".dynstr", func(s *elf.Section) uint32 { return uint32(s.Addr) })
		all = p.section(all, ".text", func(s *elf.Section) uint32 { return uint32(s.Addr) })
		if p.old.unwind.SizeBytes > 0 && p.new.unwind.SizeBytes > 0 {
			// The distances are negative: the table is behind what it is about.
			all = append(all, delta.Base{Old: p.old.unwind.Address, New: p.new.unwind.Address, SizeBytes: ^uint32(0)})
		}
	}
	return all
}

func (p *Pair) section(all []delta.Base, name string, at func(*elf.Section) uint32) []delta.Base {
	a, b := p.old.elf.Section(name), p.new.elf.Section(name)
	if a == nil || b == nil {
		return all
	}
	return append(all, delta.Base{Old: at(a), New: at(b), SizeBytes: uint32(a.Size) + 1})
}
