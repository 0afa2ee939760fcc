package update

import (
	"maps"
	"slices"
)

// Report is an Omaha event that the service has not acknowledged yet (ARCHITECTURE.md, "Between machine and
// service").
type Report struct {
	Number   int64  `json:"number"`
	Type     int    `json:"type"`
	Result   int    `json:"result"`
	Code     int    `json:"code,omitempty"`
	Version  string `json:"version"`            // what the report is about
	Previous string `json:"previous,omitempty"` // what ran before, when Version runs now
	Running  string `json:"running"`            // what ran when this happened
	Delta    bool   `json:"delta,omitempty"`    // what is downloaded is a delta
}

// The event types and results of Omaha v3 that are used, and update_engine's code for a rollback.
const (
	eventUpdate     = 3
	eventDownload   = 13
	eventDownloaded = 14
	resultError     = 0
	resultSuccess   = 1
	resultReboot    = 2
	resultCanceled  = 4 // of a download: a delta was given up
	codeRolledBack  = 44
)

// What is remembered is bounded, so that nothing a service or a clock does can fill the disk.
const (
	maxReports = 32
	maxFailed  = 32
	maxUnits   = 64
	maxText    = 512 // bytes
)

// report queues r; when the queue is full, the oldest report is dropped.
func (t *turn) report(r Report) {
	t.s.Reported++
	r.Number = t.s.Reported
	r.Running = t.s.Live.Running.Version
	t.s.Reports = append(t.s.Reports, r)
	if extra := len(t.s.Reports) - maxReports; extra > 0 {
		t.s.Reports = slices.Delete(t.s.Reports, 0, extra)
	}
}

func (t *turn) planReports() {
	if len(t.s.Reports) == 0 || !t.ready(t.s.Live.Report) {
		return
	}
	t.s.Live.Report.Busy = true
	t.do(Send{slices.Clone(t.s.Reports)})
}

func (e ReportSent) apply(t *turn) {
	t.s.Live.Report = Task{}
	t.s.Reports = slices.DeleteFunc(t.s.Reports, func(r Report) bool { return r.Number <= e.Through })
}

func (e ReportFailed) apply(t *turn) { t.failed(&t.s.Live.Report) }

// fail puts a release on the list of those that are not tried again; when the list is full, the one that
// failed first makes room.
func (t *turn) fail(version, why string) {
	if t.s.Failed == nil {
		t.s.Failed = map[string]Failure{}
	}
	t.s.Failed[version] = Failure{Why: shorten(why), At: t.Now.UTC()}
	for len(t.s.Failed) > maxFailed {
		delete(t.s.Failed, t.s.firstFailed(version))
	}
}

// firstFailed is the version that failed first, apart from except.
func (s State) firstFailed(except string) string {
	first := ""
	for _, version := range sortedKeys(s.Failed) {
		if version != except && (first == "" || s.Failed[version].At.Before(s.Failed[first].At)) {
			first = version
		}
	}
	return first
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
