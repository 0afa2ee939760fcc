package sbom

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// arMagic begins an archive of the format that deb(5) describes.
const arMagic = "!<arch>\n"

// arReader reads the members of an archive one after another.
type arReader struct {
	in     *bufio.Reader
	member io.LimitedReader // what is left of the current one
	pad    int64            // 1 after a member of odd length
}

// Read reads from the current member. A member that is shorter than its header says is not one that has ended.
func (r *arReader) Read(p []byte) (int, error) {
	n, err := r.member.Read(p)
	if err == io.EOF && r.member.N > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func newArReader(in io.Reader) (*arReader, error) {
	r := &arReader{in: bufio.NewReaderSize(in, 64<<10)}
	r.member.R = r.in
	var magic [len(arMagic)]byte
	if _, err := io.ReadFull(r.in, magic[:]); err != nil || string(magic[:]) != arMagic {
		return nil, fault.New(fault.Corrupt, "not a Debian package: it does not begin with %q", arMagic)
	}
	return r, nil
}

// next goes to the next member and returns its name and content, io.EOF after the last.
func (r *arReader) next() (string, io.Reader, error) {
	if _, err := io.CopyN(io.Discard, r.in, r.member.N+r.pad); err != nil {
		return "", nil, fault.New(fault.Corrupt, "package is cut off inside a member")
	}
	r.member.N, r.pad = 0, 0
	var header [60]byte
	if n, err := io.ReadFull(r.in, header[:]); n == 0 && err == io.EOF {
		return "", nil, io.EOF
	} else if err != nil {
		return "", nil, fault.New(fault.Corrupt, "package is cut off inside the header of a member")
	}
	name := strings.TrimSuffix(strings.TrimRight(string(header[:16]), " "), "/")
	size, err := strconv.ParseInt(strings.TrimRight(string(header[48:58]), " "), 10, 64)
	if err != nil || size < 0 || string(header[58:]) != "`\n" {
		return "", nil, fault.New(fault.Corrupt, "header of the member %q of the package is damaged", name)
	}
	r.member.N, r.pad = size, size%2
	return name, r, nil
}
