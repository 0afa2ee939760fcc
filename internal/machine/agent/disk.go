package agent

import (
	"context"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// Disk is the machine's slots and boot entries as the loop uses them: one change at a time, and a picture of
// them that can be looked at meanwhile.
type Disk struct {
	slots *slots.Slots
	state folder.Folder // holds install.json

	change sync.Mutex // held during a change
	mu     sync.Mutex
	seen   DiskStatus
}

// DiskStatus is what the slots and boot entries were when they were last looked at.
type DiskStatus struct {
	Slots   [2]slots.SlotInfo
	Running slots.Slot
	Entries []slots.Entry
}

// NewDisk takes over the slots, and repairs a copy of the partition table that a cut has damaged.
func NewDisk(s *slots.Slots, state folder.Folder) (*Disk, error) {
	if s.Damaged() {
		if err := s.Repair(); err != nil {
			return nil, err
		}
	}
	return &Disk{slots: s, state: state}, nil
}

// look renews the picture.
func (d *Disk) look() error {
	entries, err := d.slots.Entries()
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = DiskStatus{
		Slots: [2]slots.SlotInfo{d.slots.Info(slots.A), d.slots.Info(slots.B)}, Running: d.slots.Running(), Entries: entries,
	}
	return nil
}

// Status is the picture.
func (d *Disk) Status() DiskStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen
}

// Entries are the boot entries by version.
func (d *Disk) Entries() (map[string]update.Entry, error) {
	d.change.Lock()
	defer d.change.Unlock()
	if err := d.look(); err != nil {
		return nil, err
	}
	entries := map[string]update.Entry{}
	for _, e := range d.Status().Entries {
		entries[e.Version] = update.Entry{Counted: e.Counted, Left: e.TriesLeft, Done: e.TriesDone}
	}
	return entries, nil
}

// with makes a change, and looks at what it has left whether or not it succeeded.
func (d *Disk) with(change func() error) error {
	d.change.Lock()
	defer d.change.Unlock()
	err := change()
	if lookErr := d.look(); err == nil {
		err = lookErr
	}
	return err
}

// Install writes a release into the other slot, from a delta unless it is nil, and makes its boot entry.
func (d *Disk) Install(ctx context.Context, rel *release.Release, delta *release.Delta, src install.Source, progress func(done, total int64)) error {
	return d.with(func() error {
		in := &install.Installer{Slots: d.slots, State: d.state, Retry: retryDownload, Progress: progress}
		if delta != nil {
			return in.RunDelta(ctx, rel, delta, src)
		}
		return in.Run(ctx, rel, src)
	})
}

// Retire removes the boot entry of the other slot.
func (d *Disk) Retire() error { return d.with(d.slots.RetireOther) }

// Commit makes the entry of the running release the one that boots for good.
func (d *Disk) Commit(version string) error {
	return d.with(func() error { return d.slots.Commit(version) })
}

// Remove removes the entry of the running release.
func (d *Disk) Remove(version string) error {
	return d.with(func() error { return d.slots.Remove(version) })
}

// downloadAttempts is how often in a row a download is taken up again without a byte arriving.
const downloadAttempts = 6

// retryDownload waits a second, two, four and so on.
func retryDownload(ctx context.Context, attempt int) error {
	if attempt > downloadAttempts {
		return fault.New(fault.Unavailable, "gave up after %d attempts", downloadAttempts)
	}
	select {
	case <-time.After(time.Second << (attempt - 1)):
		return nil
	case <-ctx.Done():
		return fault.New(fault.Canceled, "wait for the next attempt: %w", context.Cause(ctx))
	}
}
