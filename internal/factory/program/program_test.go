package program

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/delta"
)

// kernel is an arm64 kernel of a page of head, pages of code that call a function in them, gap bytes before the second half of the
// code, and pages of data.
func kernel(pages, gap, data int) []byte {
	head := make([]byte, pageBytes)
	copy(head, "MZ")
	copy(head[imageMagicAt:], imageMagic)
	code := make([]byte, pages*pageBytes)
	half := len(code) / 2
	at := func(i int) int { // where a word of the code is in the end
		if i >= half {
			i += gap
		}
		return i + pageBytes
	}
	for i := 0; i < len(code); i += 4 {
		v := uint32(0xaa0003e0 | i/4&31) // a move between registers
		if i%20 == 0 {
			to := i * 7 % len(code) &^ 3
			v = 0x94000000 | uint32(at(to)-at(i))>>2&(1<<26-1)
		}
		binary.LittleEndian.PutUint32(code[i:], v)
	}
	nop := bytes.Repeat([]byte{0x1f, 0x20, 0x03, 0xd5}, gap/4)
	return bytes.Join([][]byte{head, code[:half], nop, code[half:], bytes.Repeat([]byte{1, 0, 0, 0}, data*pageBytes/4)}, nil)
}

// unified is a PE file that has a kernel in its section .linux.
func unified(kernel []byte) []byte {
	const headBytes = 0x200
	b := make([]byte, headBytes, headBytes+len(kernel))
	copy(b, "MZ")
	b[0x3c] = 0x40
	copy(b[0x40:], "PE\x00\x00\x64\xaa\x01\x00") // for arm64, one section
	section := b[0x58:]
	copy(section, ".linux")
	binary.LittleEndian.PutUint32(section[8:], uint32(len(kernel)))
	binary.LittleEndian.PutUint32(section[16:], uint32(len(kernel)))
	binary.LittleEndian.PutUint32(section[20:], headBytes)
	return append(b, kernel...)
}

// The code of a kernel is found, and two builds of it become equal although every call has changed.
func TestKernel(t *testing.T) {
	const pages, gap = 6, pageBytes
	for name, wrap := range map[string]func([]byte) []byte{"alone": bytes.Clone, "unified": unified} {
		old, now := wrap(kernel(pages, 0, 3)), wrap(kernel(pages, gap, 3))
		pair, ok := Open(old, now)
		if !ok {
			t.Fatalf("%s: it is no program", name)
		}
		start := int64(len(old)) - (1+pages+3)*pageBytes
		half := start + pageBytes + pages/2*pageBytes
		r := &delta.Region{SizeBytes: int64(len(now)), Pieces: []delta.Piece{{SizeBytes: half}, {From: delta.New, SizeBytes: gap}, {From: half, SizeBytes: int64(len(old)) - half}}}
		pair.Region(r)
		want := []delta.Span{{Offset: start + pageBytes, SizeBytes: pages * pageBytes, Machine: delta.Arm64}}
		if d := cmp.Diff(want, r.Code); d != "" {
			t.Errorf("%s: code (-want +got):\n%s", name, d)
		}
		a, b := pair.Normal(r)
		if !bytes.Equal(a[start+pageBytes:half], b[start+pageBytes:half]) || !bytes.Equal(a[half:], b[half+gap:]) {
			t.Errorf("%s: the code is not equal", name)
		}
		if bytes.Equal(old[half:], now[half+gap:]) {
			t.Errorf("%s: the code was equal before", name)
		}
	}
}

// The spans of code are within the kernel, in order, and not too many, whatever is in it.
func TestCodeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		for range rapid.IntRange(0, 100).Draw(t, "parts") {
			part := kernel(2*rapid.IntRange(0, 2).Draw(t, "code"), 0, rapid.IntRange(0, 1).Draw(t, "data"))
			b = append(b, part...)
		}
		b = b[:rapid.IntRange(0, len(b)).Draw(t, "size")]
		all, end := codeOf(b), int64(0)
		for _, s := range all {
			if s.Offset < end || s.SizeBytes < pageBytes || s.Offset+s.SizeBytes > int64(len(b)) {
				t.Fatalf("%v of %d bytes", all, len(b))
			}
			end = s.Offset + s.SizeBytes
		}
		if len(all) > delta.MaxSpaces {
			t.Fatalf("%d spans", len(all))
		}
	})
}

// Whatever two files are, they are programs or none, and normal forms keep their size.
func FuzzOpen(f *testing.F) {
	f.Add(kernel(2, 0, 1), kernel(2, 8, 1))
	f.Add(unified(kernel(2, 0, 1)), unified(kernel(2, 8, 1)))
	f.Add(executable(0), executable(64))
	f.Add(object(1), object(2))
	f.Fuzz(func(t *testing.T, old, now []byte) {
		pair, ok := Open(old, now)
		if !ok {
			return
		}
		r := &delta.Region{SizeBytes: int64(len(now)), Pieces: []delta.Piece{{From: delta.New, SizeBytes: int64(len(now))}}}
		if len(old) > 0 {
			r.Pieces = append(r.Pieces, delta.Piece{SizeBytes: int64(len(old))})
		}
		pair.Region(r)
		if a, b := pair.Normal(r); len(a) != len(old) || len(b) != len(now) {
			t.Errorf("%d and %d bytes became %d and %d", len(old), len(now), len(a), len(b))
		}
	})
}
