package program

import (
	"bytes"
	"debug/elf"
	"debug/pe"

	"conifer.dev/conifer/internal/wire/delta"
)

// An arm64 kernel is no ELF file but what one loads: Documentation/arch/arm64/booting.rst of Linux. It is linked for one address, of
// which these are the lowest 32 bits, and tells nothing of where its code is.
const (
	imageMagic   = "ARM\x64"
	imageMagicAt = 56
	imageAddress = 0x80000000
)

// image is the file of an arm64 kernel, by itself or in a unified kernel image.
func image(b []byte) (file, bool) {
	at, size, ok := linux(b)
	if !ok {
		return file{}, false
	}
	kernel := b[at : at+size]
	p := file{
		bytes: b, machine: elf.EM_AARCH64, fixed: true, low: imageAddress, high: imageAddress + uint32(size), code: codeOf(kernel),
		spaces: []delta.Space{{Offset: int64(at), SizeBytes: int64(size), Address: imageAddress}},
	}
	for i := range p.code {
		p.code[i].Offset += int64(at)
	}
	return p, len(p.code) > 0
}

// linux finds an arm64 kernel of at most 1 GiB.
func linux(b []byte) (at, size int, ok bool) {
	if !bytes.HasPrefix(b, []byte("MZ")) {
		return 0, 0, false
	}
	if isImage(b) {
		return 0, len(b), len(b) < fixedAddress
	}
	f, err := pe.NewFile(bytes.NewReader(b))
	if err != nil {
		return 0, 0, false
	}
	s := f.Section(".linux")
	if s == nil || !within(uint64(s.Offset), uint64(s.Size), b) || s.Size >= fixedAddress {
		return 0, 0, false
	}
	return int(s.Offset), int(s.Size), isImage(b[s.Offset : s.Offset+s.Size])
}

func isImage(b []byte) bool {
	return len(b) > imageMagicAt && bytes.HasPrefix(b[imageMagicAt:], []byte(imageMagic))
}

const (
	pageBytes = 4096

	minCalls  = 8   // of the 1,024 words of a page of code
	maxOthers = 128 // words of it that are none of the usual instructions
	maxQuiet  = 32  // pages in a row that call nothing
)

// codeOf finds the pages that are code: those with calls to within the kernel, and what lies between them and looks like instructions.
func codeOf(kernel []byte) (all []delta.Span) {
	end := 0 // of the last span
	for at := 0; at+pageBytes <= len(kernel); at += pageBytes {
		calls, others := count(kernel, at)
		if others > maxOthers {
			end = 0
			continue
		}
		if calls < minCalls {
			continue
		}
		if end > 0 && at-end <= maxQuiet*pageBytes {
			all[len(all)-1].SizeBytes = int64(at+pageBytes) - all[len(all)-1].Offset
		} else if len(all) < delta.MaxSpaces {
			all = append(all, delta.Span{Offset: int64(at), SizeBytes: pageBytes, Machine: delta.Arm64})
		} else {
			break
		}
		end = at + pageBytes
	}
	return all
}

// count counts, in the page, calls to within the kernel, and words that are no usual instructions: reserved ones and data.
func count(kernel []byte, at int) (calls, others int) {
	for i := at; i < at+pageBytes; i += 4 {
		v := word(kernel, i)
		if to := i + int(int32(v<<6)>>4); v&0xfc000000 == 0x94000000 && to >= 0 && to < len(kernel) {
			calls++
		}
		if v>>25&15 < 4 {
			others++
		}
	}
	return calls, others
}
