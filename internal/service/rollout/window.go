package rollout

import (
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Window is when offers are made: it opens at the times of a cron schedule in a time zone and stays open for a duration.
//
// The schedule is read on the clock of its zone, the duration by elapsed time. A time that the clock skips when it is put
// forward opens the window at that moment; one that it shows twice opens it the first time only.
type Window struct {
	schedule string // as it was written, with single spaces
	times    cron.Schedule
	open     time.Duration
	zone     *time.Location
}

const (
	minOpen      = time.Minute
	maxWindowLen = 200
)

var (
	windowForm = form{"window", `"0 22 * * 1-5; 4h; Europe/Berlin"`}
	cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
)

// ParseWindow reads a cron schedule (minute, hour, day of month, month, day of week from 0, Sunday; or @daily and the
// like), a duration and, unless it is UTC, a time zone, with semicolons between them.
func ParseWindow(text string) (Window, error) {
	if len(text) > maxWindowLen {
		return Window{}, windowForm.wrong(text[:maxWindowLen]+"…", "it is longer than %d bytes", maxWindowLen)
	}
	parts := strings.Split(text, ";")
	if len(parts) != 2 && len(parts) != 3 {
		return Window{}, windowForm.wrong(text, "it is not schedule; duration; time zone")
	}
	w := Window{schedule: strings.Join(strings.Fields(parts[0]), " "), zone: time.UTC}
	var wrong string
	if w.times, wrong = parseSchedule(w.schedule); wrong != "" {
		return Window{}, windowForm.wrong(text, "%s", wrong)
	}
	if w.open, wrong = parseDuration(strings.TrimSpace(parts[1])); wrong != "" {
		return Window{}, windowForm.wrong(text, "%s", wrong)
	}
	if w.open < minOpen {
		return Window{}, windowForm.wrong(text, "it is open for less than %s", FormatDuration(minOpen))
	}
	if len(parts) == 3 {
		if w.zone, wrong = parseZone(strings.TrimSpace(parts[2])); wrong != "" {
			return Window{}, windowForm.wrong(text, "%s", wrong)
		}
	}
	return w, nil
}

// parseSchedule refuses what the library takes beyond a schedule: a time zone in front, and intervals, whose times would
// depend on when one asks.
func parseSchedule(text string) (cron.Schedule, string) {
	if strings.Contains(text, "=") || strings.HasPrefix(text, "@every") {
		return nil, "the schedule is neither five fields nor one of @hourly, @daily, @weekly, @monthly, @yearly"
	}
	times, err := cronParser.Parse(text)
	if err != nil {
		return nil, "schedule: " + err.Error()
	}
	if times.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, "the schedule has no day, so that the window never opens"
	}
	return times, ""
}

func parseZone(name string) (*time.Location, string) {
	if name == "" || name == "Local" {
		return nil, "the time zone is not one of the IANA database, such as Europe/Berlin or UTC"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, "time zone: " + err.Error()
	}
	return zone, ""
}

// String is the window as [ParseWindow] reads it.
func (w Window) String() string {
	text := w.schedule + "; " + FormatDuration(w.open)
	if w.zone != nil && w.zone != time.UTC {
		text += "; " + w.zone.String()
	}
	return text
}

// Open reports whether the window is open.
func (w Window) Open(now time.Time) bool {
	opened := w.Next(now.Add(-w.open))
	return !opened.IsZero() && !opened.After(now)
}

// Next is when the window opens next, later than now. It is zero for the zero window.
func (w Window) Next(now time.Time) time.Time {
	if w.times == nil {
		return time.Time{}
	}
	for clock := face(now.In(w.zone)); ; {
		clock = w.times.Next(clock)
		if clock.IsZero() {
			return clock
		}
		// In the hour that a clock shows twice, its times lie before now for the second time.
		if at := instant(clock, w.zone); at.After(now) {
			return at
		}
	}
}

// face is what the clock on the wall shows, as if it were in UTC, where every time of the clock is there once.
func face(t time.Time) time.Time {
	year, month, date := t.Date()
	hour, minute, second := t.Clock()
	return time.Date(year, month, date, hour, minute, second, t.Nanosecond(), time.UTC)
}

// instant is when the clock of the zone first shows the face or, where it skips it, when it skips it.
func instant(clock time.Time, zone *time.Location) time.Time {
	year, month, date := clock.Date()
	hour, minute, second := clock.Clock()
	t := time.Date(year, month, date, hour, minute, second, clock.Nanosecond(), zone)
	start, end := t.ZoneBounds()
	switch shown := face(t); {
	case shown.After(clock): // skipped, and t is counted by the clock that was put forward
		return start
	case shown.Before(clock): // skipped, and t is counted by the clock before that
		return end
	case start.IsZero():
		return t
	}
	_, before := start.Add(-1).Zone()
	if first := clock.Add(-time.Duration(before) * time.Second); first.Before(start) {
		return first.In(zone)
	}
	return t
}

func anyOpen(windows []Window, now time.Time) bool {
	for i := range windows {
		if windows[i].Open(now) {
			return true
		}
	}
	return false
}

// NextOpen is when the first of the windows opens next, later than now; zero when there is none.
func NextOpen(windows []Window, now time.Time) time.Time {
	var first time.Time
	for _, w := range windows {
		if at := w.Next(now); first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}
