package pack

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// ImageFileName describes an image folder, as `conifer image build` writes it.
const ImageFileName = "image.json"

// Image is what a release needs to know of an image; other fields of image.json are for other readers.
type Image struct {
	App      string            `json:"app"` // "": our own OS
	Version  string            `json:"version"`
	Arch     string            `json:"arch"`
	Created  time.Time         `json:"created"` // of the packages; may be absent
	Root     release.Root      `json:"root"`
	Packages []release.Package `json:"packages"`

	dir string
}

// OpenImage reads the description of the image folder dir and checks that its files agree with it.
func OpenImage(dir string) (*Image, error) {
	text, err := os.ReadFile(filepath.Join(dir, ImageFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "%s is no image folder: it has no %s", dir, ImageFileName).
			WithHint("Make one with `conifer image build`.")
	}
	if err != nil {
		return nil, err
	}
	i := &Image{dir: dir}
	if err := json.Unmarshal(text, i); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", ImageFileName, err)
	}
	if !release.ValidVersion(i.Version) || i.Arch == "" {
		return nil, fault.New(fault.Invalid, "%s has version %q and arch %q", ImageFileName, i.Version, i.Arch)
	}
	return i, i.check()
}

// file is the path of the file that holds one kind of artifact.
func (i *Image) file(kind string) string {
	name := map[string]string{
		release.KindUKI:    "conifer_" + i.Version + ".efi",
		release.KindRoot:   "conifer_" + i.Version + ".root-" + i.Arch + ".raw",
		release.KindVerity: "conifer_" + i.Version + ".root-" + i.Arch + "-verity.raw",
		release.KindDisk:   "conifer_" + i.Version + ".disk.raw",
	}[kind]
	return filepath.Join(i.dir, name)
}

// artifactName is what a release calls the file of one kind of artifact. Root and tree bear the UUID of their partition,
// from which systemd-sysupdate takes it (sysupdate.d(5), wildcard @u): the initrd finds them by it.
func (i *Image) artifactName(kind string) string {
	name := filepath.Base(i.file(kind))
	hash := i.Root.Hash
	switch kind {
	case release.KindRoot:
		hash = hash[:32]
	case release.KindVerity:
		hash = hash[32:]
	default:
		return name
	}
	uuid := strings.Join([]string{hash[:8], hash[8:12], hash[12:16], hash[16:20], hash[20:]}, "-")
	return strings.Replace(name, i.Version, i.Version+"_"+uuid, 1)
}

// check compares the files with the description: a release whose UKI opens another root would boot nowhere.
func (i *Image) check() error {
	if hash, err := hex.DecodeString(i.Root.Hash); err != nil || len(hash) != 32 {
		return fault.New(fault.Invalid, "%s has root hash %q, want 32 bytes of hex", ImageFileName, i.Root.Hash)
	}
	info, err := os.Stat(i.file(release.KindRoot))
	if err != nil {
		return fault.New(fault.NotFound, "image %s: %w", i.Version, err)
	}
	if info.Size() != i.Root.SizeBytes {
		return fault.New(fault.Invalid, "image %s: root has %d bytes, %s says %d", i.Version, info.Size(), ImageFileName, i.Root.SizeBytes)
	}
	uki, err := os.Open(i.file(release.KindUKI))
	if err != nil {
		return fault.New(fault.NotFound, "image %s: %w", i.Version, err)
	}
	defer uki.Close()
	found, err := contains(uki, []byte("roothash="+i.Root.Hash))
	if err != nil {
		return fmt.Errorf("read unified kernel image: %w", err)
	}
	if !found {
		return fault.New(fault.Invalid, "image %s: the unified kernel image does not name the root hash %s", i.Version, i.Root.Hash)
	}
	return nil
}

// contains looks for want in r with a window that overlaps by its length.
func contains(r io.Reader, want []byte) (bool, error) {
	buf, kept := make([]byte, 1<<20), 0
	for {
		n, err := r.Read(buf[kept:])
		if bytes.Contains(buf[:kept+n], want) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		end := kept + n
		kept = min(end, len(want)-1)
		copy(buf, buf[end-kept:end])
	}
}
