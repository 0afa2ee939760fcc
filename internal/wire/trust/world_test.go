package trust

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// today is when the tests run; everything a world signs is valid for the named number of days from its start.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func day(n int) time.Time { return today.AddDate(0, 0, n) }

// key makes a key that is the same in every run.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// world is a repository that a test changes and signs again.
type world struct {
	t         testing.TB
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	files     map[string][]byte
}

// newWorld is a repository with version 1 of everything: two root keys of which both must sign, and one of each other.
func newWorld(t testing.TB) *world {
	w := &world{t: t, files: map[string][]byte{},
		root: metadata.Root(day(365)), targets: metadata.Targets(day(90)), snapshot: metadata.Snapshot(day(30)), timestamp: metadata.Timestamp(day(7))}
	w.addKey("root", "root one")
	w.addKey("root", "root two")
	w.root.Signed.Roles["root"].Threshold = 2
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		w.addKey(role, role)
	}
	w.signRoot("root one", "root two")
	w.addRelease("1.1.0", nil)
	w.publish()
	return w
}

func (w *world) addKey(role, name string) {
	k, err := metadata.KeyFromPublicKey(key(name).Public())
	w.must(err)
	w.must(w.root.Signed.AddKey(k, role))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// sign returns the bytes of m with one signature of each named key.
func sign[T metadata.Roles](w *world, m *metadata.Metadata[T], names ...string) []byte {
	w.t.Helper()
	m.ClearSignatures()
	for _, name := range names {
		signer, err := signature.LoadSigner(key(name), crypto.Hash(0))
		w.must(err)
		_, err = m.Sign(signer)
		w.must(err)
	}
	b, err := m.ToBytes(false)
	w.must(err)
	return b
}

func (w *world) signRoot(names ...string) {
	w.files[fmt.Sprintf("%d.root.json", w.root.Signed.Version)] = sign(w, w.root, names...)
}

// describe is a release.json of the version.
func describe(version string) []byte {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(version)))
	r := release.Release{Format: 1, App: "conifer-os", Version: version, Arch: "amd64", Created: today,
		Root:    release.Root{Hash: sum, Salt: "00", SizeBytes: 4096},
		Payload: release.Payload{Name: "full.payload", SizeBytes: 9, SHA256: sum, ManifestSizeBytes: 9, ManifestSHA256: sum}}
	text, err := r.Encode()
	if err != nil {
		panic(err)
	}
	return text
}

func pathOf(version string) string { return release.TargetPath("conifer-os", "amd64", version) }

func (w *world) addRelease(version string, custom any) {
	w.addTarget(pathOf(version), describe(version), custom)
}

func (w *world) addTarget(path string, text []byte, custom any) {
	file, err := metadata.TargetFile().FromBytes(path, text, "sha256")
	w.must(err)
	if custom != nil {
		raw, err := json.Marshal(custom)
		w.must(err)
		file.Custom = (*json.RawMessage)(&raw)
	}
	w.targets.Signed.Targets[path] = file
}

// meta describes a file in its parent.
func meta(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// publish signs targets, snapshot and timestamp as they are now.
func (w *world) publish() {
	b := sign(w, w.targets, "targets")
	w.files[fmt.Sprintf("%d.targets.json", w.targets.Signed.Version)] = b
	w.snapshot.Signed.Meta[TargetsName] = meta(w.targets.Signed.Version, b)
	w.publishSnapshot()
}

func (w *world) publishSnapshot() {
	b := sign(w, w.snapshot, "snapshot")
	w.files[fmt.Sprintf("%d.snapshot.json", w.snapshot.Signed.Version)] = b
	w.timestamp.Signed.Meta[SnapshotName] = meta(w.snapshot.Signed.Version, b)
	w.files[TimestampName] = sign(w, w.timestamp, "timestamp")
}

// next raises all three versions and publishes.
func (w *world) next() {
	w.targets.Signed.Version++
	w.snapshot.Signed.Version++
	w.timestamp.Signed.Version++
	w.publish()
}

// copyFiles remembers what the repository serves now.
func (w *world) copyFiles() map[string][]byte { return maps.Clone(w.files) }

// serve is a Fetch over files.
func serve(files map[string][]byte) Fetch {
	return func(name string, maxBytes int64) ([]byte, error) {
		b, ok := files[name]
		if !ok {
			return nil, fault.New(fault.NotFound, "%s does not exist", name)
		}
		return b[:min(int64(len(b)), maxBytes+1)], nil
	}
}

// refresh runs Refresh today, from version 1 of the root.
func (w *world) refresh(cache Cache) (*View, Cache, error) {
	return Refresh(w.files["1.root.json"], cache, serve(w.files), today, time.Time{})
}
