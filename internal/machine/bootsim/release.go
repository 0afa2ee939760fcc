package bootsim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// Release is a small release with all its bytes. It is the source of its own payload.
type Release struct {
	*release.Release
	Root      []byte
	TreeBytes []byte // the verity partition
	UKI       []byte
	Payload   []byte
	Tree      *verity.Tree
}

type image struct{ b []byte }

func (i *image) WriteAt(p []byte, offset int64) (int, error) { return copy(i.b[offset:], p), nil }

// opBlocks is the number of blocks of one operation.
const opBlocks = 4

// NewRelease makes a release with a root of so many blocks, different for every version, with blocks that shrink,
// blocks that do not, and zeros.
func NewRelease(version string, blocks, ukiBytes int) (*Release, error) {
	r := &Release{Root: makeRoot(version, blocks)}
	salt := sha256.Sum256([]byte("salt " + version))
	builder, err := verity.NewBuilder(int64(blocks), salt[:])
	if err != nil {
		return nil, err
	}
	if err := builder.Add(0, r.Root); err != nil {
		return nil, err
	}
	if r.Tree, err = builder.Finish(); err != nil {
		return nil, err
	}
	tree := &image{make([]byte, r.Tree.SizeBytes())}
	if err := r.Tree.WriteTree(tree, [16]byte{1}); err != nil {
		return nil, err
	}
	r.TreeBytes = tree.b
	r.UKI = makeUKI(version, r.Tree.Root, ukiBytes)
	r.Release = &release.Release{
		Format: release.Format, App: "conifer-os", Version: version, Arch: "amd64", Created: time.Unix(1, 0).UTC(),
		Root:      release.Root{Hash: hex.EncodeToString(r.Tree.Root[:]), Salt: hex.EncodeToString(salt[:]), SizeBytes: int64(len(r.Root))},
		Artifacts: []release.Artifact{{Name: "conifer_" + version + ".efi", Kind: release.KindUKI, SizeBytes: int64(len(r.UKI)), SHA256: digest(r.UKI)}},
	}
	return r, r.pack()
}

func makeRoot(version string, blocks int) []byte {
	sum := sha256.Sum256([]byte(version))
	noise := rand.NewChaCha8(sum)
	root := make([]byte, blocks*verity.BlockSize)
	for i := 0; i < blocks; i++ {
		block := root[i*verity.BlockSize:][:verity.BlockSize]
		switch i / opBlocks % 4 {
		case 0, 2:
			noise.Read(block)
		case 1:
			copy(block, strings.Repeat(fmt.Sprintf("%s block %d ", version, i), 200))
		}
	}
	noise.Read(root[:64])
	return root
}

// makeUKI is a file that names its release and its root, and ends with its own digest.
func makeUKI(version string, root [32]byte, size int) []byte {
	text := fmt.Sprintf("MZ %s roothash=%x\n", version, root)
	body := append([]byte(text), bytes.Repeat([]byte(version), size/len(version))...)
	body = body[:size-sha256.Size]
	sum := sha256.Sum256(body)
	return append(body, sum[:]...)
}

// readUKI gives what a UKI names, when it is whole.
func readUKI(b []byte) (version string, root [32]byte, ok bool) {
	if len(b) < sha256.Size {
		return "", root, false
	}
	body := b[:len(b)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], b[len(body):]) {
		return "", root, false
	}
	line, _, _ := strings.Cut(string(body), "\n")
	var hash string
	if _, err := fmt.Sscanf(line, "MZ %s roothash=%s", &version, &hash); err != nil {
		return "", root, false
	}
	n, err := hex.Decode(root[:], []byte(hash))
	return version, root, err == nil && n == len(root)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// pack makes the payload and describes it.
func (r *Release) pack() error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	m := &payload.Manifest{App: r.App, Arch: r.Arch, Version: r.Version, Features: []string{}}
	var data []byte
	for _, t := range []struct {
		name    string
		content []byte
	}{{payload.TargetRoot, r.Root}, {payload.TargetUKI, r.UKI}} {
		target := payload.Target{Name: t.name, SizeBytes: int64(len(t.content))}
		for at := 0; at < len(t.content); at += opBlocks * verity.BlockSize {
			op, bytes := makeOp(z, t.content[at:min(len(t.content), at+opBlocks*verity.BlockSize)])
			target.Ops = append(target.Ops, op)
			data = append(data, bytes...)
		}
		m.Targets = append(m.Targets, target)
	}
	return r.Seal(m, data)
}

// Seal makes a payload of a manifest and data, and puts its size and digests into the release.
func (r *Release) Seal(m *payload.Manifest, data []byte) error {
	var err error
	if r.Payload, r.Release.Payload, err = seal("full.payload", m, data); err != nil {
		return err
	}
	return r.Release.Validate()
}

func seal(name string, m *payload.Manifest, data []byte) ([]byte, release.Payload, error) {
	head, err := m.Encode()
	if err != nil {
		return nil, release.Payload{}, err
	}
	b := append(bytes.Clone(head), data...)
	return b, release.Payload{
		Name: name, SizeBytes: int64(len(b)), SHA256: digest(b), ManifestSizeBytes: int64(len(head)), ManifestSHA256: digest(head),
	}, nil
}

func makeOp(z *zstd.Encoder, content []byte) (payload.Op, []byte) {
	op := payload.Op{Kind: payload.KindRaw, SizeBytes: int64(len(content))}
	if len(bytes.Trim(content, "\x00")) == 0 {
		op.Kind = payload.KindZero
		return op, nil
	}
	data := content
	if small := z.EncodeAll(content, nil); len(small) < len(content) {
		op.Kind, data = payload.KindZstd, small
	}
	op.SHA256, op.DataSHA256, op.DataSizeBytes = digest(content), digest(data), int64(len(data))
	return op, data
}

// Open implements install.Source.
func (r *Release) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	return open(r.Payload, offset)
}

func open(b []byte, offset int64) (io.ReadCloser, error) {
	if offset > int64(len(b)) {
		return nil, fault.New(fault.Invalid, "offset %d is beyond the payload", offset)
	}
	return io.NopCloser(bytes.NewReader(b[offset:])), nil
}

// Releases makes synthetic releases on demand and keeps them, for tests that go through thousands of machines.
type Releases struct {
	RootBlocks, UKIBytes int

	mu     sync.Mutex
	made   map[string]*Release
	deltas map[[2]string]*Delta
}

// Of gives the release of that version, the same one each time. That one cannot be made is a bug, so it panics.
func (rs *Releases) Of(version string) *Release {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if r := rs.made[version]; r != nil {
		return r
	}
	r, err := NewRelease(version, rs.RootBlocks, rs.UKIBytes)
	if err != nil {
		panic(err)
	}
	if rs.made == nil {
		rs.made = map[string]*Release{}
	}
	rs.made[version] = r
	return r
}

// Delta gives the delta from one version to another, the same one each time.
func (rs *Releases) Delta(from, to string) *Delta {
	a, b := rs.Of(from), rs.Of(to)
	rs.mu.Lock()
	defer rs.mu.Unlock()
	pair := [2]string{from, to}
	if d := rs.deltas[pair]; d != nil {
		return d
	}
	d, err := NewDelta(a, b)
	if err != nil {
		panic(err)
	}
	if rs.deltas == nil {
		rs.deltas = map[[2]string]*Delta{}
	}
	rs.deltas[pair] = d
	return d
}
