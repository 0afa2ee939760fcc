package delta

import "encoding/binary"

// assembly puts a program together that no machine runs: functions that tell of places in them and in data, in the instructions of
// one machine, and tables that do.
type assembly struct {
	machine Machine
	code    []byte
	starts  []int // of the functions
	fixes   []fix
	data    uint32 // the address of the data
	member  uint32 // where a member of a structure is
	later   bool
}

// fix is a word that tells of a place which is not known yet: of a function, or of an entry of the data.
type fix struct {
	at     int
	opcode uint32
	target int // a function, or -1 − an entry
}

const (
	codeAddress = 1<<30 + 0x1000
	dataAddress = 1<<30 + 0x20000
	functions   = 24
	entries     = 40
)

func (a *assembly) word(v uint32) { a.code = binary.LittleEndian.AppendUint32(a.code, v) }

// refer appends a word that is filled in later.
func (a *assembly) refer(target int, opcode uint32, before ...byte) {
	a.code = append(a.code, before...)
	a.fixes = append(a.fixes, fix{len(a.code), opcode, target})
	a.word(opcode)
}

// function appends a function. Some have another constant in the later version.
func (a *assembly) function(n int) {
	a.starts = append(a.starts, len(a.code))
	if a.later && n%5 == 0 {
		n += 64
	}
	if a.machine == X8664 {
		a.functionX8664(n%64, n)
	} else {
		a.functionArm64(n%64, n)
	}
}

func (a *assembly) functionX8664(n, constant int) {
	a.code = append(a.code, 0x55, 0x48, 0x89, byte(0xe0+n))
	for i := range 3 + n%3 {
		a.refer((n*7+i*5)%functions, 0, 0xe8)
		a.refer(-1-(n*3+i)%entries, 0, 0x48, 0x8b, 0x05)
		a.code = append(a.code, 0x83, 0xc0, byte(i*constant), 0x90)
	}
	a.refer((n+1)%functions, 0, 0x0f, 0x84)
	a.refer(-1-n, 1, 0xbf) // an address as such
	a.code = append(a.code, byte(a.member), 0x5d, 0xc3)
}

func (a *assembly) functionArm64(n, constant int) {
	for i := range 3 + n%3 {
		register := uint32(i)
		a.refer((n*7+i*5)%functions, 0x94000000)
		a.refer(-1-(n*3+i)%entries, 0x90000000|register)
		a.word(0x52800000 | uint32(constant)<<5 | 2) // a constant
		a.refer(-1-(n*3+i)%entries, 0x91000000|register<<5|register)
		a.refer((n+i)%functions, 0x54000000)
		a.word(0xf9400000 | a.member/8<<10 | 19<<5 | register)
	}
	a.refer((n+1)%functions, 0x36180001)
	a.refer(n, 0x58000003)
	a.refer(n, 0x10000004)
	a.word(0xd65f03c0)
}

// address is where a target is.
func (a *assembly) address(target int) uint32 {
	if target < 0 {
		return a.data + uint32(-1-target)*16
	}
	return codeAddress + uint32(a.starts[target])
}

// link fills in what was not known, and appends the tables: addresses, distances from the data, distances from the entry, a count that goes on in
// equal steps, and flags.
func (a *assembly) link(step uint32) []byte {
	for _, f := range a.fixes {
		at, target := codeAddress+uint32(f.at), a.address(f.target)
		v := target
		if a.machine == Arm64 {
			p := Place{}
			p.kind, p.shift = kindOf(f.opcode)
			v = p.Instruction(f.opcode, target, at)
		} else if f.opcode == 0 {
			v = target - at - 4
		}
		binary.LittleEndian.PutUint32(a.code[f.at:], v)
	}
	out := a.code
	for i := range entries {
		here := a.data + uint32(i)*16
		for _, v := range []uint32{a.address(i % functions), a.address(-1-i*7%entries) - a.data, a.address(i*5%functions) - here - 8, 1000 + uint32(i)*step} {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
	}
	return out
}

// vectorProgram is a version of it: the later one has a function more before the others, a larger structure, data at another address, and larger steps.
func vectorProgram(machine Machine, later bool) (all []byte, codeBytes int) {
	a := &assembly{machine: machine, data: dataAddress, member: 24, later: later}
	if later {
		a.data, a.member = dataAddress+0x1010, 32
		a.code = append(a.code, "this code was not here before..."...)
	}
	for n := range functions {
		a.function(n)
	}
	for len(a.code)%16 > 0 {
		a.code = append(a.code, 0)
	}
	step := uint32(8)
	if later {
		step = 12
	}
	return a.link(step), len(a.code)
}

func programVector(machine Machine) func() (old, now []byte) {
	return func() (old, now []byte) {
		old, _ = vectorProgram(machine, false)
		now, _ = vectorProgram(machine, true)
		return old, now
	}
}

func programRegion(machine Machine) func(int64, []byte, []byte) Region {
	return func(at int64, _, _ []byte) Region {
		const like = 16 // so much of what is put in is taken for something that is there, too
		old, oldCode := vectorProgram(machine, false)
		now, newCode := vectorProgram(machine, true)
		spaces := func(code, all int, data uint32) []Space {
			return []Space{{0, int64(code), codeAddress}, {int64(code), int64(all - code), data}}
		}
		put := int64(newCode - oldCode)
		return Region{
			SizeBytes: int64(len(now)), Pieces: []Piece{{New, put - like}, {at + 40, like}, {at, int64(len(old))}}, OldAt: at,
			OldSpaces: spaces(oldCode, len(old), dataAddress), NewSpaces: spaces(newCode, len(now), dataAddress+0x1010),
			Bases: []Base{{0, 0, 1<<32 - 1}, {dataAddress, dataAddress + 0x1010, 1 << 12}},
			Code:  []Span{{Offset: 0, SizeBytes: int64(oldCode), Machine: machine}},
		}
	}
}
