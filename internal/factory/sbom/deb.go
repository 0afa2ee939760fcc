package sbom

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"conifer.dev/conifer/internal/fault"
)

// Limits of what is read into memory; the kernel's changelog, the longest, has 6 MB.
const (
	maxControlBytes   = 1 << 20
	maxChangelogBytes = 64 << 20
)

// walkDeb calls visit for the files in one of a package's two archives, "control" or "data", until it returns
// true. Names are without "./" before them.
func walkDeb(in io.Reader, archive string, visit func(h *tar.Header, content io.Reader) (stop bool, err error)) error {
	ar, err := newArReader(in)
	if err != nil {
		return err
	}
	for {
		name, member, err := ar.next()
		if err == io.EOF {
			return fault.New(fault.Corrupt, "package has no %s.tar", archive)
		}
		if err != nil {
			return err
		}
		compression, ok := strings.CutPrefix(name, archive+".tar")
		if !ok {
			continue
		}
		plain, done, err := decompress(compression, member)
		if err != nil {
			return fault.New(fault.Corrupt, "%s: %w", name, err)
		}
		defer done()
		return walkTar(name, plain, visit)
	}
}

func walkTar(name string, in io.Reader, visit func(h *tar.Header, content io.Reader) (bool, error)) error {
	files := tar.NewReader(in)
	for {
		h, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fault.New(fault.Corrupt, "%s: %w", name, err)
		}
		h.Name = path.Clean(strings.TrimPrefix(h.Name, "./"))
		if stop, err := visit(h, files); stop || err != nil {
			return err
		}
	}
}

// decompress undoes the compressions that deb(5) knows, by the ending of the member's name.
func decompress(ending string, in io.Reader) (io.Reader, func(), error) {
	nothing := func() {}
	switch ending {
	case "":
		return in, nothing, nil
	case ".gz":
		r, err := gzip.NewReader(in)
		return r, nothing, err
	case ".xz":
		r, err := xz.NewReader(bufio.NewReaderSize(in, 1<<20))
		return r, nothing, err
	case ".zst":
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nothing, err
		}
		return r, r.Close, nil
	}
	return nil, nothing, fault.New(fault.Unsupported, "compression %q is not known", ending)
}

// control is what a package says of itself.
type control struct{ name, version, source string }

func readControl(in io.Reader) (control, error) {
	var c control
	err := walkDeb(in, "control", func(h *tar.Header, content io.Reader) (bool, error) {
		if h.Name != "control" {
			return false, nil
		}
		text, err := io.ReadAll(io.LimitReader(content, maxControlBytes))
		if err != nil {
			return false, fault.Wrap(fault.Corrupt, err)
		}
		c = parseControl(string(text))
		return true, nil
	})
	if err == nil && (c.name == "" || c.version == "") {
		err = fault.New(fault.Corrupt, "package does not say its name and version")
	}
	return c, err
}

func parseControl(text string) control {
	var c control
	for line := range strings.Lines(text) {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch field {
		case "Package":
			c.name = value
		case "Version":
			c.version = value
		case "Source":
			c.source, _, _ = strings.Cut(value, " ") // a version may follow
		}
	}
	if c.source == "" {
		c.source = c.name
	}
	return c
}

// documents are what the documentation folder of a package holds of interest.
type documents struct {
	debian, native []byte // the two names that a Debian changelog may have
	link           string // the package that has the folder instead
}

const docFolder = "usr/share/doc/"

func readDocuments(in io.Reader, name string) (documents, error) {
	var d documents
	folder := docFolder + name
	err := walkDeb(in, "data", func(h *tar.Header, content io.Reader) (bool, error) {
		switch file, inside := strings.CutPrefix(h.Name, folder+"/"); {
		case (h.Name == folder || inside && strings.HasPrefix(file, "changelog")) && h.Typeflag == tar.TypeSymlink:
			d.link = linkedPackage(path.Join(path.Dir(h.Name), h.Linkname), name)
		case !inside || h.Typeflag != tar.TypeReg:
		case file == "changelog.Debian.gz" || file == "changelog.Debian":
			var err error
			d.debian, err = readText(file, content)
			return true, err
		case file == "changelog.gz" || file == "changelog":
			var err error
			d.native, err = readText(file, content)
			return false, err
		}
		return false, nil
	})
	return d, err
}

// linkedPackage is the package whose documentation folder the target is in, "" for none but the own.
func linkedPackage(target, own string) string {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(target, "/"), docFolder)
	other, _, _ := strings.Cut(rest, "/")
	if !ok || other == own {
		return ""
	}
	return other
}

func readText(name string, in io.Reader) ([]byte, error) {
	ending := ""
	if strings.HasSuffix(name, ".gz") {
		ending = ".gz"
	}
	plain, done, err := decompress(ending, in)
	if err != nil {
		return nil, fault.New(fault.Corrupt, "%s: %w", name, err)
	}
	defer done()
	text, err := io.ReadAll(io.LimitReader(plain, maxChangelogBytes+1))
	if err == nil && len(text) > maxChangelogBytes {
		err = errors.New("longer than 64 MB")
	}
	if err != nil {
		return nil, fault.New(fault.Corrupt, "%s: %w", name, err)
	}
	return text, nil
}
