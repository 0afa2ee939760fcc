// Package install writes a release into the slot that does not run, and enables it.
//
// Start with [Installer.Run]: it does steps 3 to 6 of "An update on the machine" in ARCHITECTURE.md, in that order, each
// durable before the next. [Installer.RunDelta] does the same from a delta, for which it reads the running release. It trusts a
// payload only through the release it is given, verifies every byte before and after decompression and the whole root against
// the signed root hash, and needs memory within fixed limits whatever the payload says (package memory). A call that was cut, by the network or the power, is
// repeated with the same release and payload and goes on from the last verified operation.
//
// It never writes to the running slot and its boot entry, decides nothing about when to install or reboot, and speaks
// no network protocol. docs/design/install.md says why every stop is safe.
package install

import (
	"context"
	"encoding/hex"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// Tries is how often a new release may be booted before it must be committed.
const Tries = 3

// maxUKIBytes is the largest UKI that an EFI system partition is made for.
const maxUKIBytes = 128 << 20

// Installer writes releases into the other slot.
type Installer struct {
	Slots *slots.Slots
	// State is the folder in which install.json remembers how far a release was written.
	State folder.Folder
	// Retry waits before attempt number n (from 1) to go on with a download that was cut, or gives an error
	// to end the call. The count starts again when bytes arrive. Without it a cut ends the call.
	Retry func(ctx context.Context, attempt int) error
	// Progress, when set, is told how many bytes of root and UKI are written and verified.
	Progress func(doneBytes, totalBytes int64)
	// Workers is the number of operations that are decompressed at the same time, 2 when it is 0. With 1 a delta is no work for two, either.
	Workers int
	// SyncBytes is how much is written between two syncs of the slot, 32 MiB when it is 0.
	SyncBytes int64
}

// plan is a release that was checked against its payload's manifest and the machine's slots.
type plan struct {
	rel      *release.Release
	delta    *release.Delta   // nil for the full payload
	payload  *release.Payload // of the delta, or the full one
	rootHash [32]byte
	salt     []byte
	root     *payload.Target
	uki      *payload.Target
	image    release.Artifact // of the UKI
}

// dataFrom is where the data of operations begins in the payload.
func (p *plan) dataFrom() int64 { return p.payload.ManifestSizeBytes }

// blocks is the number of data blocks of the root.
func (p *plan) blocks() int64 { return p.root.SizeBytes / verity.BlockSize }

// Run installs the release. When it returns nil, the next boot tries the release; when it returns an error, the running
// release boots as before. Errors of the source are Unavailable, of its bytes Corrupt, of space Exhausted.
func (in *Installer) Run(ctx context.Context, rel *release.Release, src Source) error {
	p, err := newPlan(rel)
	if err != nil {
		return err
	}
	return in.run(ctx, p, src)
}

// RunDelta installs the release from a delta to it, which a trusted deltas.json tells and whose bytes the source gives. A
// delta from another release than the running one is Unsupported. What does not come out as it was signed, for the delta or
// the running release is not what it should be, is Corrupt: then Run, with the full payload, may still install the release.
func (in *Installer) RunDelta(ctx context.Context, rel *release.Release, delta *release.Delta, src Source) error {
	p, err := newPlan(rel)
	if err != nil {
		return err
	}
	if running := in.Slots.RunningVersion(); delta.From != running {
		return fault.New(fault.Unsupported, "delta to %s is from %s, and %s runs", rel.Version, delta.From, running)
	}
	p.delta, p.payload = delta, &delta.Payload
	return in.run(ctx, p, src)
}

func (in *Installer) run(ctx context.Context, p *plan, src Source) error {
	s := &stream{ctx: ctx, src: src, retry: in.Retry, sizeBytes: p.payload.SizeBytes}
	defer s.close()
	if err := in.prepare(p, s); err != nil {
		return err
	}
	if err := in.Slots.RetireOther(); err != nil {
		return err
	}
	m := &meter{tell: in.Progress, total: p.root.SizeBytes + p.uki.SizeBytes}
	if err := in.writeSlot(p, s, m); err != nil {
		return err
	}
	if err := in.Slots.Label(p.rel.Version, p.rootHash); err != nil {
		return err
	}
	return in.addEntry(p, s, m)
}

// prepare fetches the manifest and checks everything that can be known before the disk changes.
func (in *Installer) prepare(p *plan, s *stream) error {
	if err := in.Slots.CheckRelease(p.rel.Version, p.rootHash); err != nil {
		return err
	}
	if size := p.payload.ManifestSizeBytes; size > payload.MaxManifestSizeBytes {
		return fault.New(fault.Corrupt, "payload manifest of %s has %d bytes, the limit is %d", p.rel.Version, size, payload.MaxManifestSizeBytes)
	}
	text := make([]byte, p.payload.ManifestSizeBytes)
	if err := s.read(text); err != nil {
		return err
	}
	manifest, err := p.parse(text)
	if err != nil {
		return err
	}
	if err := p.adopt(manifest); err != nil {
		return err
	}
	return in.Slots.CheckRoom(p.root.SizeBytes, verity.HashSize(p.blocks()), p.uki.SizeBytes)
}

func (p *plan) parse(text []byte) (*payload.Manifest, error) {
	if p.delta != nil {
		return payload.ParseSignedDelta(p.rel, p.delta, text)
	}
	return payload.ParseSigned(p.rel, text)
}

// newPlan reads what release.json says, for the full payload.
func newPlan(rel *release.Release) (*plan, error) {
	if err := rel.Validate(); err != nil {
		return nil, err
	}
	hash, err := slots.ParseRootHash(rel.Root.Hash)
	if err != nil {
		return nil, err
	}
	salt, err := hex.DecodeString(rel.Root.Salt)
	if err != nil {
		return nil, fault.New(fault.Invalid, "root salt: %w", err)
	}
	image, err := rel.Artifact(release.KindUKI)
	if err != nil {
		return nil, err
	}
	return &plan{rel: rel, payload: &rel.Payload, rootHash: hash, salt: salt, image: image}, nil
}

// adopt takes the operations from the manifest, and refuses targets that this machine does not have.
func (p *plan) adopt(m *payload.Manifest) error {
	var err error
	if p.root, err = m.Target(payload.TargetRoot); err != nil {
		return err
	}
	if p.uki, err = m.Target(payload.TargetUKI); err != nil {
		return err
	}
	if len(m.Targets) != 2 {
		return fault.New(fault.Unsupported, "payload of %s has %d targets, want root and uki", m.Version, len(m.Targets))
	}
	if p.uki.SizeBytes != p.image.SizeBytes || p.uki.SizeBytes > maxUKIBytes {
		return fault.New(fault.Corrupt, "payload of %s has a UKI of %d bytes, release.json says %d, the limit is %d", m.Version, p.uki.SizeBytes, p.image.SizeBytes, maxUKIBytes)
	}
	for _, op := range p.root.Ops {
		if op.SizeBytes%verity.BlockSize != 0 {
			return fault.New(fault.Unsupported, "payload of %s: operation at offset %d of root writes %d bytes, which are no whole blocks", m.Version, op.Offset, op.SizeBytes)
		}
	}
	return nil
}

// addEntry streams the UKI from the payload to the EFI system partition.
func (in *Installer) addEntry(p *plan, s *stream, m *meter) error {
	decoder, err := payload.NewDecoder()
	if err != nil {
		return err
	}
	uki := &targetWriter{stream: s, decoder: decoder, ops: p.uki.Ops, dataFrom: p.dataFrom(), meter: m}
	if p.delta != nil {
		old, done, err := in.oldUKI()
		if err != nil {
			return err
		}
		defer done()
		uki.old = old
	}
	return in.Slots.AddEntry(p.rel.Version, uki.writeTo, p.uki.SizeBytes, p.image.SHA256, Tries)
}
