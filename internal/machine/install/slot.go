package install

import (
	"crypto/sha256"
	"encoding/hex"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/payload"
)

// slotWriter writes one release's root and verity partitions.
type slotWriter struct {
	plan    *plan
	root    slots.Device
	verity  slots.Device
	builder *verity.Builder
	stream  *stream
	meter   *meter
	state   folder.Folder
	slot    string

	syncBytes int64
	old       payload.Old        // the root that a delta is made from
	decoders  []*payload.Decoder // one for each worker
	buffers   chan []byte        // of data, one for each worker and one being filled
}

// writeSlot writes what is missing of root, and then the verity tree.
func (in *Installer) writeSlot(p *plan, s *stream, m *meter) error {
	builder, err := verity.NewBuilder(p.blocks(), p.salt)
	if err != nil {
		return err
	}
	root, tree, err := in.Slots.OtherPartitions()
	if err != nil {
		return err
	}
	defer slots.Close(root)
	defer slots.Close(tree)
	w := &slotWriter{
		plan: p, root: root, verity: tree, builder: builder, stream: s, meter: m, state: in.State,
		slot: in.Slots.Other().String(), syncBytes: in.SyncBytes,
	}
	if w.syncBytes == 0 {
		w.syncBytes = 32 << 20
	}
	if err := w.hire(max(in.Workers, 0)); err != nil {
		return err
	}
	if p.delta != nil {
		old, done, err := in.oldRoot()
		if err != nil {
			return err
		}
		defer done()
		w.old = old
	}
	return w.run()
}

// hire makes what n workers need, 2 when n is 0.
func (w *slotWriter) hire(n int) error {
	if n == 0 {
		n = 2
	}
	w.buffers = make(chan []byte, n+1)
	w.buffers <- nil
	for range n {
		decoder, err := payload.NewDecoder()
		if err != nil {
			return err
		}
		w.decoders = append(w.decoders, decoder)
		w.buffers <- nil
	}
	return nil
}

func (w *slotWriter) run() error {
	done, err := w.resume()
	if err != nil {
		return err
	}
	w.stream.eager = true
	for done < len(w.plan.root.Ops) {
		n, err := w.write(w.nextBatch(done))
		if n > 0 {
			done += n
			if saveErr := w.save(done); saveErr != nil {
				return saveErr
			}
		}
		if err != nil {
			return err
		}
	}
	if err := w.stream.finish(); err != nil {
		return err
	}
	return w.seal()
}

// write writes a batch, and gives how many of its operations are written.
func (w *slotWriter) write(ops []payload.Op) (int, error) {
	if ops[0].Kind != payload.KindDelta {
		return w.batch(ops)
	}
	if err := w.patch(ops[0]); err != nil {
		return 0, err
	}
	return 1, nil
}

// resume verifies what install.json claims is in the slot, and gives the number of operations that are. What is
// verified also gets its place in the tree.
func (w *slotWriter) resume() (int, error) {
	claimed, err := loadClaim(w.state, w.plan.payload.ManifestSHA256, w.slot)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, stretchBytes)
	for i, op := range w.plan.root.Ops[:min(claimed, len(w.plan.root.Ops))] {
		if there, err := w.holds(op, buf); err != nil || !there {
			return i, err
		}
		w.meter.add(op.SizeBytes)
	}
	return min(claimed, len(w.plan.root.Ops)), nil
}

// holds reports whether what the operation writes is in the slot. The places in the tree that it gives to what proves wrong in
// the end are taken again when the operation is carried out.
func (w *slotWriter) holds(op payload.Op, buf []byte) (bool, error) {
	sum, zeros := sha256.New(), true
	for done := int64(0); done < op.SizeBytes; {
		if ctx := w.stream.ctx; ctx.Err() != nil {
			return false, canceled(ctx)
		}
		buf = buf[:min(int64(cap(buf)), op.SizeBytes-done)]
		if _, err := w.root.ReadAt(buf, op.Offset+done); err != nil {
			return false, nil // a sector that cannot be read is written again
		}
		sum.Write(buf)
		zeros = zeros && allZero(buf)
		if err := w.builder.Add((op.Offset+done)/verity.BlockSize, buf); err != nil {
			return false, err
		}
		done += int64(len(buf))
	}
	if op.Kind == payload.KindZero {
		return zeros, nil
	}
	return hex.EncodeToString(sum.Sum(nil)) == op.SHA256, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// hash gives content that is in the slot its place in the tree.
func (w *slotWriter) hash(op payload.Op, content []byte) error {
	defer w.meter.add(op.SizeBytes)
	if op.Kind == payload.KindZero {
		return w.builder.AddZeros(op.Offset/verity.BlockSize, op.SizeBytes/verity.BlockSize)
	}
	return w.builder.Add(op.Offset/verity.BlockSize, content)
}

// nextBatch is the operations from one sync to the next. One of kind delta is a batch of its own.
func (w *slotWriter) nextBatch(from int) []payload.Op {
	ops := w.plan.root.Ops[from:]
	var size int64
	for i, op := range ops {
		if op.Kind == payload.KindDelta {
			return ops[:max(i, 1)]
		}
		if size += op.SizeBytes; size >= w.syncBytes {
			return ops[:i+1]
		}
	}
	return ops
}

// save makes what was written durable, and then says so in install.json.
func (w *slotWriter) save(opsDone int) error {
	if err := w.root.Sync(); err != nil {
		return folder.Classify("sync slot "+w.slot, err)
	}
	return saveClaim(w.state, w.plan.payload.ManifestSHA256, w.slot, opsDone)
}

// seal compares the tree over what was written with the signed root hash, and writes it.
func (w *slotWriter) seal() error {
	tree, err := w.builder.Finish()
	if err != nil {
		return err
	}
	if tree.Root != w.plan.rootHash {
		// Every operation had its digest, so the release contradicts itself. Nothing of it is worth keeping.
		if err := saveClaim(w.state, w.plan.payload.ManifestSHA256, w.slot, 0); err != nil {
			return err
		}
		return fault.New(fault.Corrupt, "root of %s has the root hash %x, release.json says %x", w.plan.rel.Version, tree.Root, w.plan.rootHash)
	}
	if err := tree.WriteTree(w.verity, verity.UUIDFromRoot(tree.Root)); err != nil {
		return folder.Classify("write verity of slot "+w.slot, err)
	}
	return folder.Classify("sync verity of slot "+w.slot, w.verity.Sync())
}
