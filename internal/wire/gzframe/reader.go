package gzframe

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"conifer.dev/conifer/internal/fault"
)

// PlainLimitBytes is the most that [Restorable] takes from a file.
const PlainLimitBytes = 64 << 20

// Reader reads the plain bytes of a file.
type Reader struct {
	// Header is what the file says. It tells the levels 1 and 9; for all others Level is 6, which is gzip's usual one.
	Header Header

	in     *bufio.Reader
	plain  io.Reader
	left   int64
	digest uint32
	size   uint32 // modulo 2^32
	err    error
}

// NewReader reads the header. Errors of the kinds Corrupt and Unsupported are those of the file; a file of which more than limitBytes plain
// bytes come is Unsupported. Errors of r are given back as they are.
func NewReader(r io.Reader, limitBytes int64) (*Reader, error) {
	z := &Reader{in: bufio.NewReader(r), left: limitBytes}
	if err := z.header(); err != nil {
		return nil, early(err)
	}
	z.plain = flate.NewReader(z.in)
	return z, nil
}

func (z *Reader) header() error {
	var b [headerSizeBytes]byte
	if _, err := io.ReadFull(z.in, b[:]); err != nil {
		return err
	}
	if string(b[:len(magic)]) != magic {
		return fault.New(fault.Corrupt, "file does not begin as gzip files do")
	}
	flags, speed, system := b[3], b[8], b[9]
	if flags&^flagName != 0 || system != systemUnix {
		return fault.New(fault.Unsupported, "gzip header has flags %#x and system %d, want at most a name, and %d", flags, system, systemUnix)
	}
	z.Header = Header{Level: usualLevel, ModTime: binary.LittleEndian.Uint32(b[4:])}
	switch speed {
	case 0:
	case speedFastest:
		z.Header.Level = 1
	case speedSlowest:
		z.Header.Level = 9
	default:
		return fault.New(fault.Unsupported, "gzip header has speed %d", speed)
	}
	if flags == flagName {
		return z.name()
	}
	return nil
}

func (z *Reader) name() error {
	var name []byte
	for {
		c, err := z.in.ReadByte()
		if err != nil {
			return err
		}
		if c == 0 {
			break
		}
		if name = append(name, c); len(name) > nameLimitBytes {
			return fault.New(fault.Unsupported, "gzip name has more than %d bytes", nameLimitBytes)
		}
	}
	if len(name) == 0 {
		return fault.New(fault.Unsupported, "gzip name is empty")
	}
	z.Header.Name = string(name)
	return nil
}

// Read gives plain bytes, and io.EOF only when the file is whole and nothing follows it.
func (z *Reader) Read(p []byte) (int, error) {
	if z.err != nil || len(p) == 0 {
		return 0, z.err
	}
	n, err := z.plain.Read(p)
	if z.left -= int64(n); z.left < 0 {
		z.err = fault.New(fault.Unsupported, "gzip file has more plain bytes than allowed")
		return 0, z.err
	}
	z.digest = crc32.Update(z.digest, crc32.IEEETable, p[:n])
	z.size += uint32(n)
	switch {
	case err == io.EOF:
		z.err = z.end()
	case err != nil:
		z.err = early(err)
	}
	return n, z.err
}

// end reads the trailer and gives io.EOF when it is right.
func (z *Reader) end() error {
	var b [trailerSizeBytes]byte
	if _, err := io.ReadFull(z.in, b[:]); err != nil {
		return early(err)
	}
	if digest := binary.LittleEndian.Uint32(b[:]); digest != z.digest {
		return fault.New(fault.Corrupt, "plain bytes have the checksum %08x, want %08x", z.digest, digest)
	}
	if size := binary.LittleEndian.Uint32(b[4:]); size != z.size {
		return fault.New(fault.Corrupt, "plain bytes are %d, want %d", z.size, size)
	}
	switch _, err := z.in.ReadByte(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return fault.New(fault.Unsupported, "gzip file goes on after its first member")
	default:
		return err
	}
}

// early gives the errors of the decoder and of an early end the kind Corrupt.
func early(err error) error {
	var corrupt flate.CorruptInputError
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fault.New(fault.Corrupt, "gzip file ends early")
	}
	if errors.As(err, &corrupt) {
		return fault.New(fault.Corrupt, "gzip file is damaged: %w", err)
	}
	return err
}

// Restorable takes a file apart and reports whether [Compress] makes exactly this file again of what it returns. Files with more than
// [PlainLimitBytes] of plain bytes are not restorable.
func Restorable(file []byte) (plain []byte, h Header, ok bool) {
	r, err := NewReader(bytes.NewReader(file), PlainLimitBytes)
	if err != nil {
		return nil, Header{}, false
	}
	if plain, err = io.ReadAll(r); err != nil {
		return nil, Header{}, false
	}
	h = r.Header
	levels := []int{h.Level}
	if h.Level == usualLevel {
		levels = []int{usualLevel, 5, 7, 8, 4, 3, 2}
	}
	for _, h.Level = range levels {
		rest := remainder(file)
		if Compress(&rest, bytes.NewReader(plain), h) == nil && len(rest) == 0 {
			return plain, h, true
		}
	}
	return nil, Header{}, false
}

// remainder is what a file still has to be made of; writing something else to it is an error, so that a wrong level ends soon.
type remainder []byte

func (r *remainder) Write(p []byte) (int, error) {
	rest, same := bytes.CutPrefix(*r, p)
	if !same {
		return 0, fault.New(fault.Conflict, "file is compressed another way")
	}
	*r = rest
	return len(p), nil
}

// Plain is what is compressed in a file.
func Plain(file []byte) ([]byte, error) {
	z, err := NewReader(bytes.NewReader(file), PlainLimitBytes)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
