package agent

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"conifer.dev/conifer/internal/machine/update"
)

// counters are what the agent has done since it started.
type counters struct {
	checks       atomic.Int64
	checksFailed atomic.Int64
	reports      atomic.Int64
	failed       atomic.Int64
	deltasFailed atomic.Int64
	savedBytes   atomic.Int64
	lastCheck    atomic.Int64 // unix seconds, of the last one that was answered
}

// metric is one line of the text format.
type metric struct {
	name, kind, help string
	labels           string
	value            int64
}

// phases are the closed set of labels of conifer_agent_phase.
var phases = []update.Phase{
	update.Idle, update.Installing, update.Installed, update.Rebooting, update.Trial, update.Committing, update.RollingBack, update.Retiring,
}

// writeMetrics writes the text exposition format of Prometheus, version 0.0.4. The client library would add
// 0.6 MB to a program of 11 MB, for a dozen numbers without histograms or labels that vary.
func (a *Agent) writeMetrics(w io.Writer) {
	s := a.snapshot()
	all := []metric{
		{"conifer_agent_checks_total", "counter", "Update checks begun.", "", a.count.checks.Load()},
		{"conifer_agent_check_failures_total", "counter", "Update checks without an answer.", "", a.count.checksFailed.Load()},
		{"conifer_agent_last_check_timestamp_seconds", "gauge", "When the service last answered.", "", a.count.lastCheck.Load()},
		{"conifer_agent_reports_sent_total", "counter", "Reports the service acknowledged.", "", a.count.reports.Load()},
		{"conifer_agent_reports_waiting", "gauge", "Reports it has not acknowledged.", "", int64(len(s.Reports))},
		{"conifer_agent_downloaded_bytes_total", "counter", "Payload bytes received.", "", a.meter.everything.Load()},
		{"conifer_agent_saved_bytes_total", "counter", "Payload bytes that deltas made unnecessary.", "", a.count.savedBytes.Load()},
		{"conifer_agent_deltas_failed_total", "counter", "Deltas in whose place the full payload was taken.", "", a.count.deltasFailed.Load()},
		{"conifer_agent_releases_failed_total", "counter", "Releases that proved bad since the agent started.", "", a.count.failed.Load()},
		{"conifer_agent_failed_releases", "gauge", "Releases that are not tried again.", "", int64(len(s.Failed))},
		{"conifer_agent_reboot_lock_held", "gauge", "Whether the reboot lock is or may be held.", "", flag(s.Lock == update.LockHeld || s.Lock == update.LockMaybe)},
		{"conifer_agent_problem", "gauge", "Whether the last thing tried went wrong.", "", flag(s.Problem != nil)},
		{"conifer_agent_uptime_seconds", "counter", "Since the agent started.", "", int64(time.Since(a.start).Seconds())},
		{"conifer_agent_running_info", "gauge", "The release that runs.", fmt.Sprintf("{version=%q}", a.Running.Version), 1},
	}
	for _, p := range phases {
		all = append(all, metric{"conifer_agent_phase", "gauge", "The phase of the update, 1 for the current one.", fmt.Sprintf("{phase=%q}", p), flag(s.Phase == p)})
	}
	io.WriteString(w, exposition(all))
}

func exposition(all []metric) string {
	var b strings.Builder
	last := ""
	for _, m := range all {
		if m.name != last {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
			last = m.name
		}
		fmt.Fprintf(&b, "%s%s %d\n", m.name, m.labels, m.value)
	}
	return b.String()
}

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}
