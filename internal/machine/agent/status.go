package agent

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// Status is what `conifer-agent status --json` prints.
type Status struct {
	State            string                    `json:"state"` // update.Phase
	Summary          string                    `json:"summary"`
	Running          update.Release            `json:"running"`
	Target           *update.Target            `json:"target,omitempty"`
	WaitsFor         string                    `json:"waits_for,omitempty"`
	RebootLock       update.Lock               `json:"reboot_lock"`
	NewestCommitted  string                    `json:"newest_committed,omitempty"`
	Failed           map[string]update.Failure `json:"failed,omitempty"`
	NoDelta          []string                  `json:"no_delta,omitempty"` // versions that are taken in full, because a delta failed
	Declined         string                    `json:"declined,omitempty"` // offered, but in Failed
	Problem          *update.Problem           `json:"problem,omitempty"`
	ReportsWaiting   int                       `json:"reports_waiting"`
	Progress         *Progress                 `json:"progress,omitempty"`
	LastCheck        *time.Time                `json:"last_check,omitempty"`
	NextCheckSeconds int64                     `json:"next_check_seconds"`
	Slots            []SlotStatus              `json:"slots,omitempty"`
	Entries          []EntryStatus             `json:"entries,omitempty"`
	MachineID        string                    `json:"machine_id,omitempty"`
	Server           string                    `json:"server,omitempty"`
	Group            string                    `json:"group,omitempty"`
}

// Progress is how far an installation is.
type Progress struct {
	PayloadBytes    int64  `json:"payload_bytes"`
	DeltaFrom       string `json:"delta_from,omitempty"`  // "" for the full payload
	SavedBytes      int64  `json:"saved_bytes,omitempty"` // that the full payload has more
	DownloadedBytes int64  `json:"downloaded_bytes"`
	DoneBytes       int64  `json:"done_bytes"` // written and verified
	TotalBytes      int64  `json:"total_bytes"`
	Seconds         int64  `json:"seconds"`
}

// SlotStatus is one slot.
type SlotStatus struct {
	Slot    string `json:"slot"`
	Version string `json:"version,omitempty"`
	Running bool   `json:"running,omitempty"`
}

// EntryStatus is one boot entry.
type EntryStatus struct {
	Version   string `json:"version"`
	OnTrial   bool   `json:"on_trial,omitempty"`
	TriesLeft int    `json:"tries_left,omitempty"`
	TriesDone int    `json:"tries_done,omitempty"`
}

// Status collects what is known now.
func (a *Agent) Status() Status {
	s := a.snapshot()
	st := Status{
		State: string(s.Phase), Summary: s.Headline(), Running: a.Running, WaitsFor: s.Live.Waiting, RebootLock: s.Lock,
		NewestCommitted: s.Newest, Failed: s.Failed, NoDelta: a.inFull(s), Declined: s.Live.Declined, Problem: s.Problem, ReportsWaiting: len(s.Reports),
		NextCheckSeconds: int64(max(s.Live.Check.Due-time.Since(a.start), 0).Seconds()), Progress: a.meter.status(),
	}
	if s.Phase != update.Idle {
		st.Target = &s.Target
	}
	if unix := a.count.lastCheck.Load(); unix > 0 {
		at := time.Unix(unix, 0).UTC()
		st.LastCheck = &at
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stuck != "" {
		st.WaitsFor = a.stuck
	}
	return st.withDisk(a.Disk.Status())
}

// inFull are the versions that may be offered and are not taken by a delta.
func (a *Agent) inFull(s update.State) []string {
	return slices.DeleteFunc(slices.Clone(s.NoDelta), func(version string) bool {
		return release.Compare(version, a.Running.Version) <= 0
	})
}

func (st Status) withDisk(d DiskStatus) Status {
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		st.Slots = append(st.Slots, SlotStatus{slot.String(), d.Slots[slot].Version, d.Running == slot})
	}
	for _, e := range d.Entries {
		st.Entries = append(st.Entries, EntryStatus{e.Version, e.Counted, e.TriesLeft, e.TriesDone})
	}
	return st
}

func (m *meter) status() *Progress {
	if !m.active.Load() {
		return nil
	}
	p := &Progress{
		SavedBytes:   m.saved.Load(),
		PayloadBytes: m.total.Load(), DownloadedBytes: m.downloaded.Load(), DoneBytes: m.written.Load(), TotalBytes: m.toWrite.Load(),
		Seconds: int64(time.Since(time.Unix(0, m.started.Load())).Seconds()),
	}
	if from := m.from.Load(); from != nil {
		p.DeltaFrom = *from
	}
	return p
}

// reduced leaves out what a stranger on the network need not know.
func (st Status) reduced() Status {
	st.MachineID, st.Server, st.Problem, st.Failed = "", "", nil, nil
	if st.Target != nil {
		st.Target = &update.Target{Release: st.Target.Release}
	}
	return st
}

// Print writes the status in plain words.
func (st Status) Print(w io.Writer) {
	line := func(show bool, name, format string, args ...any) {
		if show {
			fmt.Fprintf(w, "%-16s %s\n", name, fmt.Sprintf(format, args...))
		}
	}
	line(true, "state", "%s", st.Summary)
	line(st.WaitsFor != "", "waits for", "%s", st.WaitsFor)
	if p := st.Progress; p != nil {
		line(true, "progress", "%s", p)
	}
	line(true, "running", "%s, root hash %s (dm-verity)", st.Running.Version, st.Running.RootHash)
	st.printDisk(line)
	line(st.RebootLock != update.LockNone, "reboot lock", "%s", st.RebootLock)
	line(st.NewestCommitted != "", "newest committed", "%s", st.NewestCommitted)
	for _, version := range slices.Sorted(maps.Keys(st.Failed)) {
		f := st.Failed[version]
		line(true, "failed", "%s: %s (%s)", version, f.Why, f.At.Format(time.RFC3339))
	}
	line(len(st.NoDelta) > 0, "delta failed", "%s: taken in full", strings.Join(st.NoDelta, ", "))
	line(st.Declined != "", "declined", "%s is offered but failed here; `conifer-agent retry %s` allows it again", st.Declined, st.Declined)
	if p := st.Problem; p != nil {
		line(true, "last problem", "%s (%s, %s)", p.Why, p.Kind, p.At.Format(time.RFC3339))
	}
	line(st.ReportsWaiting > 0, "reports waiting", "%d", st.ReportsWaiting)
	line(st.LastCheck != nil, "last check", "%s", lastCheck(st.LastCheck))
	line(true, "next check", "in %s", time.Duration(st.NextCheckSeconds)*time.Second)
	line(st.Server != "", "service", "%s, group %s, as %s", st.Server, st.Group, st.MachineID)
}

func (st Status) printDisk(line func(show bool, name, format string, args ...any)) {
	for _, s := range st.Slots {
		text := s.Version
		if text == "" {
			text = "empty"
		}
		if s.Running {
			text += ", running"
		}
		line(true, "slot "+s.Slot, "%s%s", text, st.entry(s.Version))
	}
}

// entry says in words whether a release can boot.
func (st Status) entry(version string) string {
	for _, e := range st.Entries {
		switch {
		case e.Version != version:
		case !e.OnTrial:
			return ", committed"
		default:
			return fmt.Sprintf(", on trial: %d tries left, %d done", e.TriesLeft, e.TriesDone)
		}
	}
	if version == "" {
		return ""
	}
	return ", no boot entry"
}

// String shows rate and remaining time.
func (p *Progress) String() string {
	kind := "full payload"
	if p.DeltaFrom != "" {
		kind = fmt.Sprintf("delta from %s, which saves %s", p.DeltaFrom, cli.Bytes(p.SavedBytes))
	}
	text := fmt.Sprintf("%s of %s written, %s downloaded", cli.Bytes(p.DoneBytes), cli.Bytes(p.TotalBytes), cli.Bytes(p.DownloadedBytes))
	if p.Seconds > 0 && p.DownloadedBytes > 0 {
		text += fmt.Sprintf(", %s/s", cli.Bytes(p.DownloadedBytes/p.Seconds))
	}
	if p.Seconds > 0 && p.DoneBytes > 0 && p.TotalBytes > p.DoneBytes {
		left := time.Duration(float64(p.Seconds)*float64(p.TotalBytes-p.DoneBytes)/float64(p.DoneBytes)) * time.Second
		text += fmt.Sprintf(", %s left", left)
	}
	return text + "; " + kind
}

func lastCheck(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.Format(time.RFC3339)
}
