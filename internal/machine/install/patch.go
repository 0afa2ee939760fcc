package install

import (
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/payload"
)

// stretchBytes is how much is written to the slot, or read back from it, at a time.
const stretchBytes = 1 << 20

// oldRoot opens the root of the running release. Its size is that of the data, not of the partition, and only the tree's
// superblock has it; when that lies, the delta does not apply.
func (in *Installer) oldRoot() (payload.Old, func(), error) {
	root, tree, err := in.Slots.RunningPartitions()
	if err != nil {
		return payload.Old{}, nil, err
	}
	defer slots.Close(tree)
	super, err := verity.ReadSuperblock(tree)
	if err != nil {
		slots.Close(root)
		return payload.Old{}, nil, err
	}
	size := super.DataBlocks * verity.BlockSize
	return payload.Old{ReaderAt: newWindows("root", root, size), SizeBytes: size}, func() { slots.Close(root) }, nil
}

// oldUKI opens the UKI of the running release.
func (in *Installer) oldUKI() (payload.Old, func(), error) {
	file, size, err := in.Slots.RunningUKI()
	if err != nil {
		return payload.Old{}, nil, err
	}
	return payload.Old{ReaderAt: newWindows("UKI", file, size), SizeBytes: size}, func() { file.Close() }, nil
}

// patch writes one operation of kind delta. Its memory is that of its data and what the delta takes, so the buffers of the
// workers are let go of before.
func (w *slotWriter) patch(op payload.Op) error {
	for range cap(w.buffers) {
		<-w.buffers
		w.buffers <- nil
	}
	data := make([]byte, op.DataSizeBytes)
	w.stream.seek(w.plan.dataFrom() + op.DataOffset)
	if err := w.stream.read(data); err != nil {
		return err
	}
	out := &stretch{slotWriter: w, offset: op.Offset, buf: make([]byte, 0, stretchBytes)}
	if err := w.decoders[0].Patch(out, op, data, w.old); err != nil {
		return err
	}
	return out.flush()
}

// stretch collects what an operation writes, and writes and hashes it in large pieces. Operations write whole blocks, and so do
// these.
type stretch struct {
	*slotWriter
	offset   int64
	buf      []byte
	unsynced int64
}

// Write implements io.Writer.
func (s *stretch) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, cap(s.buf)-len(s.buf))
		s.buf = append(s.buf, p[done:done+n]...)
		done += n
		if len(s.buf) == cap(s.buf) {
			if err := s.flush(); err != nil {
				return done, err
			}
		}
	}
	return len(p), nil
}

// flush syncs now and then, so that a long operation does not leave all of its writes to the end, when they would hold up
// everybody else's.
func (s *stretch) flush() error {
	if ctx := s.stream.ctx; ctx.Err() != nil {
		return canceled(ctx)
	}
	if _, err := s.root.WriteAt(s.buf, s.offset); err != nil {
		return folder.Classify("write slot "+s.slot, err)
	}
	if err := s.builder.Add(s.offset/verity.BlockSize, s.buf); err != nil {
		return err
	}
	n := int64(len(s.buf))
	s.meter.add(n)
	s.offset, s.unsynced, s.buf = s.offset+n, s.unsynced+n, s.buf[:0]
	if s.unsynced < s.syncBytes {
		return nil
	}
	s.unsynced = 0
	return folder.Classify("sync slot "+s.slot, s.root.Sync())
}
