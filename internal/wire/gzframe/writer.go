package gzframe

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"conifer.dev/conifer/internal/fault"
)

// tooFar is the distance from which on a match of three bytes costs more than the bytes themselves.
const tooFar = 4096

// fastLevels take every match as it is found; higher levels look first whether the next byte begins a longer one.
const fastLevels = 3

// Writer compresses what is written to it as gzip does. Its output does not depend on how the input is cut.
type Writer struct {
	level  int
	effort *effort
	window window
	block  block
	digest uint32
	size   uint32 // modulo 2^32, as the trailer has it
	closed bool

	// The state of the search between two bytes.
	length  int  // of the match found last, below minMatch when there is none
	pending bool // the byte before the place is not yet told
}

// NewWriter writes the header. Call Close to finish the file.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	z := &Writer{level: h.Level, effort: &efforts[h.Level], length: minMatch - 1}
	z.block.bits = bitWriter{w: w, buffer: h.append(nil)}
	z.block.init()
	return z, nil
}

// Write takes bytes and writes what they complete. An error is that of the writer below.
func (z *Writer) Write(p []byte) (int, error) {
	if z.closed {
		return 0, fault.New(fault.Conflict, "gzip writer is closed")
	}
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p)
	z.size += uint32(len(p))
	for rest := p; len(rest) > 0; {
		rest = rest[z.window.fill(rest):]
		if z.window.full() {
			z.run()
			z.window.slide()
		}
	}
	return len(p), z.block.bits.err
}

// Close finishes the file. It does not close the writer below.
func (z *Writer) Close() error {
	if z.closed {
		return z.block.bits.err
	}
	z.closed = true
	z.run()
	z.window.slide()
	z.window.end()
	z.run()
	if z.pending {
		z.literal(z.window.at - 1)
	}
	z.flush(true)
	trailer := binary.LittleEndian.AppendUint32(nil, z.digest)
	z.block.bits.bytes(binary.LittleEndian.AppendUint32(trailer, z.size))
	return z.block.bits.flush()
}

// run goes on as far as the bytes at hand allow: a search needs minLookahead of them unless the input has ended.
func (z *Writer) run() {
	step := z.lazy
	if z.level <= fastLevels {
		step = z.greedy
	}
	for z.window.lookahead >= minLookahead || z.window.ended && z.window.lookahead > 0 {
		step()
	}
}

// lazy moves on by one byte, or over the match of the byte before when the match here is not longer.
func (z *Writer) lazy() {
	w := &z.window
	place := w.insert(w.at)
	before, distance := z.length, w.at-1-w.found
	z.length = minMatch - 1
	if before < z.effort.lazy && w.searchable(place) {
		z.length = min(w.search(place, before, z.effort), w.lookahead)
		if z.length == minMatch && w.at-w.found > tooFar {
			z.length = minMatch - 1
		}
	}
	switch {
	case before >= minMatch && z.length <= before:
		full := z.match(before, distance)
		for range before - 2 {
			w.at++
			w.insert(w.at)
		}
		w.at++
		w.lookahead -= before - 1
		z.length, z.pending = minMatch-1, false
		if full {
			z.flush(false)
		}
	case z.pending:
		if z.literal(w.at - 1) {
			z.flush(false)
		}
		w.at++
		w.lookahead--
	default:
		z.pending = true
		w.at++
		w.lookahead--
	}
}

// greedy tells one byte or one match.
func (z *Writer) greedy() {
	w := &z.window
	length := 0
	if place := w.insert(w.at); w.searchable(place) {
		length = min(w.search(place, minMatch-1, z.effort), w.lookahead)
	}
	var full bool
	if length >= minMatch {
		full = z.match(length, w.at-w.found)
		if length <= z.effort.lazy {
			for i := 1; i < length; i++ {
				w.insert(w.at + i)
			}
		}
	} else {
		length = 1
		full = z.literal(w.at)
	}
	w.at += length
	w.lookahead -= length
	if full {
		z.flush(false)
	}
}

// literal tells the byte at the offset, and reports whether the block is to end.
func (z *Writer) literal(at int) bool {
	z.block.literal(z.window.buffer[at])
	return z.enough()
}

func (z *Writer) match(length, distance int) bool {
	z.block.match(length, distance)
	return z.enough()
}

// enough reports whether the block is to end. The place is that of the search, which may be one byte ahead of what is told.
func (z *Writer) enough() bool {
	b := &z.block
	if b.full() {
		return true
	}
	return z.level > 2 && len(b.symbols)%guessSymbols == 0 && b.compressesWell(z.window.at-z.window.block)
}

// flush ends the block at the place of the search.
func (z *Writer) flush(last bool) {
	w := &z.window
	var plain []byte
	if w.block >= 0 {
		plain = w.buffer[w.block:w.at]
	}
	z.block.flush(plain, w.block >= 0, last)
	w.block = w.at
}
