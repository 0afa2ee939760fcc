package delta

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// program puts words one after the other.
func program(words ...uint32) (code []byte) {
	for _, w := range words {
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	return code
}

// The instructions stand at 0x40001ff0; the place is that of the one asked for.
func TestPlaceAt(t *testing.T) {
	const adrp = 0xb0000000 // adrp x0, 0x40002000
	tests := map[string]struct {
		words []uint32
		at    int // which of them
		want  uint32
		none  bool
	}{
		"bl":                          {words: []uint32{0x94000001}, want: 0x40001ff4},
		"b back":                      {words: []uint32{0x17ffffff}, want: 0x40001fec},
		"bl to be linked":             {words: []uint32{0x94000000}, none: true},
		"b.eq":                        {words: []uint32{0x54000040}, want: 0x40001ff8},
		"cbz back":                    {words: []uint32{0xb4ffffe0}, want: 0x40001fec},
		"tbz":                         {words: []uint32{0x36080040}, want: 0x40001ff8},
		"tbnz back":                   {words: []uint32{0x370fffe0}, want: 0x40001fec},
		"ldr of a literal":            {words: []uint32{0x58000040}, want: 0x40001ff8},
		"adr":                         {words: []uint32{0x30000000}, want: 0x40001ff1},
		"adrp alone":                  {words: []uint32{adrp}, want: 0x40002000},
		"adrp to be linked":           {words: []uint32{0x90000000, 0x91000000}, none: true},
		"adrp for add":                {words: []uint32{adrp, 0x91004000}, want: 0x40002010},
		"add":                         {words: []uint32{adrp, 0x91004000}, at: 1, want: 0x40002010},
		"add of 32 bits":              {words: []uint32{adrp, 0x11004000}, at: 1, none: true},
		"add of what is not a page":   {words: []uint32{adrp, 0x91004020}, at: 1, none: true},
		"ldrb":                        {words: []uint32{adrp, 0x39400400}, at: 1, want: 0x40002001},
		"ldr":                         {words: []uint32{adrp, 0xf9400400}, at: 1, want: 0x40002008},
		"ldr of 128 bits":             {words: []uint32{adrp, 0x3dc00400}, at: 1, want: 0x40002010},
		"str":                         {words: []uint32{adrp, 0xb9000401}, at: 1, want: 0x40002004},
		"ldr beyond the page":         {words: []uint32{adrp, 0xf9480000}, at: 1, none: true},
		"after a move to it":          {words: []uint32{adrp, 0xaa0103e0, 0x91004000}, at: 2, none: true},
		"after a move to another":     {words: []uint32{adrp, 0xaa0003e1, 0x91004000}, at: 2, want: 0x40002010},
		"after a store of it":         {words: []uint32{adrp, 0xf9000020, 0x91004000}, at: 2, want: 0x40002010},
		"after a load of two":         {words: []uint32{adrp, 0xa9400041, 0x91004000}, at: 2, none: true},
		"after a call":                {words: []uint32{adrp, 0x94000001, 0x91004000}, at: 2, none: true},
		"after a call, in x19":        {words: []uint32{0xb0000013, 0x94000001, 0x91004260}, at: 2, want: 0x40002010},
		"adrp for what is after it":   {words: []uint32{0xb0000013, 0x94000001, 0x91004260}, want: 0x40002010},
		"adrp, then one for the same": {words: []uint32{adrp, 0xd0000000, 0x91004000}, want: 0x40002000},
		"ret":                         {words: []uint32{0xd65f03c0}, none: true},
	}
	for name, test := range tests {
		code := program(test.words...)
		p, ok := PlaceAt(code, 4*test.at, 0x40001ff0+4*uint32(test.at))
		if ok == test.none || ok && p.Target != test.want {
			t.Errorf("%s: %#x, %v; want %#x", name, p.Target, ok, test.want)
		}
	}
}

// Every field says what was put into it, and the rest of the instruction stays.
func TestInstruction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opcode := rapid.SampledFrom(opcodes).Draw(t, "opcode")
		p := Place{}
		p.kind, p.shift = kindOf(opcode)
		v := opcode | rapid.Uint32().Draw(t, "field")&(masks[p.kind]|31)
		address := rapid.Uint32().Draw(t, "address") &^ 3
		told := p.told(v, address)
		if p.kind != lowBits || told < pageBytes {
			if again := p.Instruction(v, told, address); again != v && p.kind != byPage {
				t.Fatalf("%#x at %#x became %#x", v, address, again)
			}
		}
		target := rapid.Uint32().Draw(t, "target")
		now := p.Instruction(v, target, address)
		if !p.isField(v, now) || !p.isField(v, p.Meaning(v, target)) {
			t.Fatalf("%#x became %#x", v, now)
		}
		got, want := p.told(now, address), target
		switch p.kind {
		case branch26:
			want = address + signed((target-address)>>2, 0, 26)<<2
		case branch19, literal:
			want = address + signed((target-address)>>2, 0, 19)<<2
		case branch14:
			want = address + signed((target-address)>>2, 0, 14)<<2
		case byByte:
			want = address + signed(target-address, 0, 21)
		case byPage:
			want = target &^ (pageBytes - 1)
		case lowBits:
			want = target & (pageBytes - 1) >> p.shift << p.shift
		}
		if got != want {
			t.Fatalf("kind %d: told of %#x, want %#x", p.kind, got, want)
		}
	})
}

// opcodes tell of places: one of each kind, and of each size of access.
var opcodes = []uint32{
	0x94000000, 0x14000000, 0x54000000, 0xb4000000, 0x36000000, 0x58000000, 0x10000000, 0x90000000, 0x91000000,
	0x39400000, 0x79400000, 0xb9400000, 0xf9400000, 0x3dc00000,
}

// drawProgram is arm64 code for the most part, with whatever lies between.
func drawProgram(t *rapid.T) []byte {
	var words []uint32
	for range rapid.IntRange(1, 300).Draw(t, "instructions") {
		v := rapid.SampledFrom(append(opcodes, 0xaa0003e0, 0)).Draw(t, "opcode")
		kind, _ := kindOf(v)
		words = append(words, v|rapid.Uint32().Draw(t, "field")&(masks[kind]|0x23))
	}
	return program(words...)
}

// Programs of any machine, with spans anywhere, come back bit for bit.
func TestPrograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old := drawProgram(t)
		size := len(old)
		cut, gap := rapid.IntRange(0, size).Draw(t, "cut"), rapid.IntRange(0, 9).Draw(t, "gap")
		now := append(append(bytes.Clone(old[:cut]), make([]byte, gap)...), old[cut:]...)
		for _, at := range rapid.SliceOf(rapid.IntRange(0, len(now)-1)).Draw(t, "changes") {
			now[at] ^= byte(1 + at)
		}
		space := func(size int) []Space {
			return []Space{{SizeBytes: int64(size), Address: rapid.SampledFrom([]uint32{0, 0x10000, 0x80000000, 0xffffff00}).Draw(t, "address")}}
		}
		r := Region{SizeBytes: int64(len(now)), OldSpaces: space(size), NewSpaces: space(len(now)), Bases: []Base{{SizeBytes: 1 << 30}}}
		for _, p := range []Piece{{0, int64(cut)}, {New, int64(gap)}, {int64(cut), int64(size - cut)}} {
			if p.SizeBytes > 0 {
				r.Pieces = append(r.Pieces, p)
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "spans") {
			r.Code = append(r.Code, Span{
				int64(rapid.IntRange(0, size+9).Draw(t, "offset")), int64(rapid.IntRange(0, size+9).Draw(t, "size")), Machine(rapid.IntRange(0, 1).Draw(t, "machine")),
			})
		}
		plan := &Plan{OldSizeBytes: int64(size), SizeBytes: r.SizeBytes, Regions: []Region{r}}
		data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(now))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := Apply(&got, bytes.NewReader(old), plan.OldSizeBytes, data, plan.SizeBytes); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), now) {
			t.Fatal("the output is not what was told")
		}
	})
}

// Code that has moved costs next to nothing, although every one of its fields has changed.
func TestMovedProgram(t *testing.T) {
	const size, gap = 40_000, 0x1230
	build := func(shift uint32) []byte {
		code, seed := make([]byte, size), uint32(1)
		for i := 0; i < size; i += 4 {
			seed = hash(seed, uint32(i))
			v := [...]uint32{0x94000000, 0x58000000, 0x90000000}[seed>>8%3]
			place := Place{}
			place.kind, _ = kindOf(v)
			target := seed >> 3 % (size / 4) * 4
			if target >= size/2 {
				target += shift
			}
			at := uint32(i)
			if at >= size/2 {
				at += shift
			}
			binary.LittleEndian.PutUint32(code[i:], place.Instruction(v, target, at))
		}
		return append(append(bytes.Clone(code[:size/2]), make([]byte, shift)...), code[size/2:]...)
	}
	old, now := build(0), build(gap)
	r := Region{
		SizeBytes: int64(len(now)), OldSpaces: []Space{{SizeBytes: size}}, NewSpaces: []Space{{SizeBytes: int64(len(now))}},
		Code: []Span{{0, size, Arm64}}, Pieces: []Piece{{0, size / 2}, {New, gap}, {size / 2, size / 2}},
	}
	plan := &Plan{OldSizeBytes: size, SizeBytes: r.SizeBytes, Regions: []Region{r}}
	sizes := map[Machine]int{}
	for _, m := range []Machine{X8664, Arm64} {
		plan.Regions[0].Code[0].Machine = m
		data, err := Write(plan, bytes.NewReader(old), bytes.NewReader(now))
		if err != nil {
			t.Fatal(err)
		}
		sizes[m] = len(data)
	}
	if sizes[Arm64] > 1000 || sizes[Arm64]*4 > sizes[X8664] {
		t.Errorf("the delta has %d bytes; %d when the machine is not known", sizes[Arm64], sizes[X8664])
	}
}
