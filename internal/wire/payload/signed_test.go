package payload

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

var update = flag.Bool("update", false, "write the signed vector anew")

// signedFolder is a repository with one release and a delta to it, and the old targets.
const signedFolder = "testdata/signed"

// signedDay is when the vector is signed and read; it is valid for a hundred years.
var signedDay = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	releaseFolder = "conifer-os/amd64/1.1.0/"
	deltaFile     = releaseFolder + "from-1.0.0.payload"
)

// squares are the squares from a number on, each with a line feed, cut to a size.
func squares(from, sizeBytes int) (b []byte) {
	for i := from; len(b) < sizeBytes; i++ {
		b = fmt.Appendln(b, i*i)
	}
	return b[:sizeBytes]
}

// The targets of the vector by name.
func signedTargets() (old, now map[string][]byte) {
	return map[string][]byte{TargetRoot: squares(0, 8192), TargetUKI: []byte("MZ kernel 1.0.0")}, map[string][]byte{
		TargetRoot: append(make([]byte, 4096), bytes.Replace(squares(0, 4096), []byte("9\n"), []byte("X\n"), 5)...),
		TargetUKI:  []byte("MZ kernel 1.1.0"),
	}
}

// signedPayload is the delta: zeros, a delta of the root, and the kernel as it is.
func signedPayload(t *testing.T) (file []byte, d release.Delta) {
	t.Helper()
	old, now := signedTargets()
	op, data := deltaOp(old[TargetRoot], now[TargetRoot][4096:])
	uki := now[TargetUKI]
	m := &Manifest{Format: Format, App: "conifer-os", Arch: "amd64", Version: "1.1.0", From: "1.0.0", Features: []string{FeatureDelta}, Targets: []Target{
		{Name: TargetRoot, SizeBytes: 8192, Ops: []Op{{Kind: KindZero, SizeBytes: 4096}, op}},
		{Name: TargetUKI, SizeBytes: int64(len(uki)), Ops: []Op{
			{Kind: KindRaw, SizeBytes: int64(len(uki)), SHA256: digest(uki), DataSizeBytes: int64(len(uki)), DataSHA256: digest(uki)},
		}},
	}}
	head, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	file = append(append(bytes.Clone(head), data...), uki...)
	return file, release.Delta{From: m.From, Features: m.Features, Payload: release.Payload{
		Name: filepath.Base(deltaFile), SizeBytes: int64(len(file)), SHA256: digest(file), ManifestSizeBytes: int64(len(head)), ManifestSHA256: digest(head),
	}}
}

// newSigner makes a key that is the same in every run.
func newSigner(t *testing.T, name string) (signature.Signer, *metadata.Key) {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	s, err := signature.LoadSigner(key, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	public, err := metadata.KeyFromPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return s, public
}

// signed is the bytes of metadata with its signature.
func signed[T metadata.Roles](t *testing.T, m *metadata.Metadata[T], s signature.Signer) []byte {
	t.Helper()
	if _, err := m.Sign(s); err != nil {
		t.Fatal(err)
	}
	b, err := m.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func named(b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: 1, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// repository signs files, by their target paths, in all roles.
func repository(t *testing.T, files map[string][]byte) map[string][]byte {
	t.Helper()
	end := signedDay.AddDate(100, 0, 0)
	root, targets, snapshot, timestamp := metadata.Root(end), metadata.Targets(end), metadata.Snapshot(end), metadata.Timestamp(end)
	by := map[string]signature.Signer{}
	for _, role := range []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		s, public := newSigner(t, role)
		by[role] = s
		if err := root.Signed.AddKey(public, role); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string][]byte{}
	for path, b := range files {
		file, err := metadata.TargetFile().FromBytes(path, b, "sha256")
		if err != nil {
			t.Fatal(err)
		}
		targets.Signed.Targets[path], all[path] = file, b
	}
	vouch := func(name string, b []byte) []byte { all[trust.Folder+name] = b; return b }
	vouch("1.root.json", signed(t, root, by[metadata.ROOT]))
	snapshot.Signed.Meta[trust.TargetsName] = named(vouch("1.targets.json", signed(t, targets, by[metadata.TARGETS])))
	timestamp.Signed.Meta[trust.SnapshotName] = named(vouch("1.snapshot.json", signed(t, snapshot, by[metadata.SNAPSHOT])))
	vouch(trust.TimestampName, signed(t, timestamp, by[metadata.TIMESTAMP]))
	return all
}

// writeSigned writes the vector.
func writeSigned(t *testing.T) {
	t.Helper()
	payload, d := signedPayload(t)
	list := release.Deltas{Format: release.DeltasFormat, App: "conifer-os", Version: "1.1.0", Arch: "amd64", Deltas: []release.Delta{d}}
	deltas, err := list.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// The full payload, and a hash tree of the root, are no part of the vector.
	none := digest(nil)
	r := release.Release{Format: release.Format, App: list.App, Version: list.Version, Arch: list.Arch, Created: signedDay,
		Root:    release.Root{Hash: none, Salt: "00", SizeBytes: 8192},
		Payload: release.Payload{Name: "full.payload", SizeBytes: 1, SHA256: none, ManifestSizeBytes: 1, ManifestSHA256: none}}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	files := repository(t, map[string][]byte{releaseFolder + release.FileName: text, releaseFolder + release.DeltasName: deltas})
	files[deltaFile] = payload
	old, _ := signedTargets()
	for name, b := range old {
		files["old/"+name] = b
	}
	for name, b := range files {
		path := filepath.Join(signedFolder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readSigned(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(signedFolder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// openSigned follows the signatures of the vector from its root to the manifest of the delta, and gives that and the data.
func openSigned(t *testing.T) (*Manifest, []byte) {
	t.Helper()
	fetch := func(name string, _ int64) ([]byte, error) {
		b, err := os.ReadFile(filepath.Join(signedFolder, trust.Folder, name))
		if os.IsNotExist(err) {
			return nil, fault.New(fault.NotFound, "%s does not exist", name)
		}
		return b, err
	}
	view, _, err := trust.Refresh(readSigned(t, trust.Folder+"1.root.json"), nil, fetch, signedDay, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := view.Release(releaseFolder+release.FileName, readSigned(t, releaseFolder+release.FileName))
	if err != nil {
		t.Fatal(err)
	}
	target, err := view.Target(releaseFolder + release.DeltasName)
	if err != nil {
		t.Fatal(err)
	}
	text := readSigned(t, target.Path)
	if err := target.Check(text); err != nil {
		t.Fatal(err)
	}
	list, err := release.ParseDeltas(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := list.From("1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	file := readSigned(t, releaseFolder+d.Name)
	if digest(file) != d.SHA256 {
		t.Errorf("the payload has digest %s, want %s", digest(file), d.SHA256)
	}
	m, err := ParseSignedDelta(r, d, file[:d.ManifestSizeBytes])
	if err != nil {
		t.Fatal(err)
	}
	return m, file[d.ManifestSizeBytes:]
}

// A signed delta that was stored is still trusted, still makes the new targets of the old ones, and is still written so.
func TestSignedDelta(t *testing.T) {
	if *update {
		writeSigned(t)
	}
	m, data := openSigned(t)
	_, want := signedTargets()
	d, err := NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range m.Targets {
		var got bytes.Buffer
		for _, op := range target.Ops {
			own := data[op.DataOffset : op.DataOffset+op.DataSizeBytes]
			if op.Kind == KindDelta {
				err = d.Patch(&got, op, own, of(readSigned(t, "old/"+target.Name)))
			} else {
				var b []byte
				b, err = d.Decode(op, own, nil)
				got.Write(b)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got.Bytes(), want[target.Name]) {
			t.Errorf("%s is %d other bytes", target.Name, got.Len())
		}
	}
	if again, _ := signedPayload(t); !bytes.Equal(again, readSigned(t, deltaFile)) {
		t.Error("the delta is written otherwise")
	}
}
