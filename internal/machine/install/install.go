// Package install writes a release into the slot that does not run, and enables it.
//
// Start with [Installer.Run]: it does steps 3 to 6 of "An update on the machine" in ARCHITECTURE.md, in that order, each
// durable before the next. It trusts a payload only through the release it is given, verifies every byte before
// and after decompression and the whole root against the signed root hash, and needs about 32 MiB whatever the payload
// says. A call that was cut, by the network or the power, is repeated with the same release and goes on from the last
// verified operation.
//
// It never touches the running slot and its boot entry, decides nothing about when to install or reboot, and speaks
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
	// Workers is the number of operations that are decompressed at the same time, 2 when it is 0.
	Workers int
	// SyncBytes is how much is written between two syncs of the slot, 32 MiB when it is 0.
	SyncBytes int64
}

// plan is a release that was checked against its payload's manifest and the machine's slots.
type plan struct {
	rel      *release.Release
	rootHash [32]byte
	salt     []byte
	root     *payload.Target
	uki      *payload.Target
	image    release.Artifact // of the UKI
	dataFrom int64            // where the data of operations begins in the payload
}

// blocks is the number of data blocks of the root.
func (p *plan) blocks() int64 { return p.root.SizeBytes / verity.BlockSize }

// Run installs the release. When it returns nil, the next boot tries the release; when it returns an error, the running
// release boots as before. Errors of the source are Unavailable, of its bytes Corrupt, of space Exhausted.
func (in *Installer) Run(ctx context.Context, rel *release.Release, src Source) error {
	s := &stream{ctx: ctx, src: src, retry: in.Retry, sizeBytes: rel.Payload.SizeBytes}
	defer s.close()
	p, err := in.plan(rel, s)
	if err != nil {
		return err
	}
	if err := in.Slots.RetireOther(); err != nil {
		return err
	}
	m := &meter{tell: in.Progress, total: p.root.SizeBytes + p.uki.SizeBytes}
	if err := in.writeSlot(p, s, m); err != nil {
		return err
	}
	if err := in.Slots.Label(rel.Version, p.rootHash); err != nil {
		return err
	}
	return in.addEntry(p, s, m)
}

// plan fetches the manifest and checks everything that can be known before the disk changes.
func (in *Installer) plan(rel *release.Release, s *stream) (*plan, error) {
	p, err := newPlan(rel)
	if err != nil {
		return nil, err
	}
	if err := in.Slots.CheckRelease(rel.Version, p.rootHash); err != nil {
		return nil, err
	}
	if rel.Payload.ManifestSizeBytes > payload.MaxManifestSizeBytes {
		return nil, fault.New(fault.Corrupt, "payload manifest of %s has %d bytes, the limit is %d", rel.Version, rel.Payload.ManifestSizeBytes, payload.MaxManifestSizeBytes)
	}
	text := make([]byte, rel.Payload.ManifestSizeBytes)
	if err := s.read(text); err != nil {
		return nil, err
	}
	manifest, err := payload.ParseSigned(rel, text)
	if err != nil {
		return nil, err
	}
	if err := p.adopt(manifest); err != nil {
		return nil, err
	}
	return p, in.Slots.CheckRoom(p.root.SizeBytes, verity.HashSize(p.blocks()), p.uki.SizeBytes)
}

// newPlan reads what release.json says.
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
	return &plan{rel: rel, rootHash: hash, salt: salt, image: image, dataFrom: rel.Payload.ManifestSizeBytes}, nil
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
	uki := &targetWriter{stream: s, decoder: decoder, ops: p.uki.Ops, dataFrom: p.dataFrom, meter: m}
	return in.Slots.AddEntry(p.rel.Version, uki.writeTo, p.uki.SizeBytes, p.image.SHA256, Tries)
}
