// Package gzframe makes of plain bytes exactly the file that GNU gzip makes of them. A delta needs it for documentation, which
// distributions ship compressed: two versions of a compressed file have nothing in common even where their texts do. Start with
// [Restorable], which tells whether a file comes back bit for bit from its plain bytes and a [Header], and [Compress].
//
// The format is that of RFC 1951 and RFC 1952; the choices that it leaves are made as GNU gzip 1.12 and 1.13 make them, and
// docs/protocol/gzframe.md tells them. Files of other encoders (zlib, zopfli, pigz) come out another way and are not restorable.
// Files of several members, and members with an extra field, a comment or a header checksum, are refused. Memory is bounded
// and the same for every input, and no input makes the package panic.
package gzframe

import (
	"encoding/binary"
	"io"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Header is what a file says or shows beside its plain bytes.
type Header struct {
	Level   int    // 1 to 9, as given to gzip
	ModTime uint32 // seconds since 1970, 0 for none
	Name    string // of the file that was compressed, without folder, or empty
}

// The fields of the header of a member (RFC 1952, 2.3).
const (
	headerSizeBytes  = 10
	trailerSizeBytes = 8

	magic        = "\x1f\x8b\x08" // gzip, compressed by deflate
	flagName     = 8
	systemUnix   = 3
	speedSlowest = 2 // of level 9
	speedFastest = 4 // of level 1

	nameLimitBytes = 255 // as long as a file's name may be
)

// usualLevel is the level of gzip when nobody says another.
const usualLevel = 6

// speed is the field XFL, which tells the levels 1 and 9.
func (h Header) speed() byte {
	switch h.Level {
	case 1:
		return speedFastest
	case 9:
		return speedSlowest
	}
	return 0
}

// check says what of the header gzip would never write.
func (h Header) check() error {
	switch {
	case h.Level < 1 || h.Level > 9:
		return fault.New(fault.Invalid, "gzip level is %d, want 1 to 9", h.Level)
	case len(h.Name) > nameLimitBytes:
		return fault.New(fault.Invalid, "gzip name has %d bytes, want at most %d", len(h.Name), nameLimitBytes)
	case strings.Contains(h.Name, "\x00"):
		return fault.New(fault.Invalid, "gzip name contains a zero byte")
	}
	return nil
}

// append appends the header as it is in a file.
func (h Header) append(b []byte) []byte {
	flags := byte(0)
	if h.Name != "" {
		flags = flagName
	}
	b = append(append(b, magic...), flags)
	b = binary.LittleEndian.AppendUint32(b, h.ModTime)
	b = append(b, h.speed(), systemUnix)
	if h.Name != "" {
		b = append(append(b, h.Name...), 0)
	}
	return b
}

// Compress writes to w the file that gzip makes of plain. Errors of w and plain are given back as they are; a header that gzip
// never writes is an error of kind Invalid.
func Compress(w io.Writer, plain io.Reader, h Header) error {
	z, err := NewWriter(w, h)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, plain); err != nil {
		return err
	}
	return z.Close()
}
