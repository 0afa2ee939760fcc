package rollout

import (
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// day and week are of fixed length: a policy counts time, not the hands of a clock.
const (
	day  = 24 * time.Hour
	week = 7 * day

	maxDuration = 3660 * day
)

// form is what one part of a policy is called, and an example of how it is written.
type form struct{ part, example string }

func (f form) wrong(text, format string, args ...any) error {
	return fault.New(fault.Invalid, "%s %q: "+format, append([]any{f.part, text}, args...)...).WithHint("Write it like %s.", f.example)
}

var durationForm = form{"duration", "15m, 36h, 7d, 2w or 1d12h"}

// units of a duration, longest first.
var units = []struct {
	letter byte
	is     time.Duration
}{{'w', week}, {'d', day}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// ParseDuration reads whole numbers of weeks, days, hours, minutes and seconds, longest first: "36h", "7d", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	d, wrong := parseDuration(text)
	if wrong != "" {
		return 0, durationForm.wrong(text, "%s", wrong)
	}
	return d, nil
}

// parseDuration says what is wrong, without naming the part that it is wrong in.
func parseDuration(text string) (d time.Duration, wrong string) {
	if text == "" {
		return 0, "there is no duration"
	}
	left := units
	for rest := text; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		number, err := strconv.Atoi(rest[:digits])
		if err != nil || digits == len(rest) {
			return 0, "a duration is whole numbers, each with one of the units w, d, h, m, s"
		}
		for len(left) > 0 && left[0].letter != rest[digits] {
			left = left[1:]
		}
		if len(left) == 0 {
			return 0, "the units of a duration are w, d, h, m, s, each once and in this order"
		}
		if number > int((maxDuration-d)/left[0].is) {
			return 0, "the duration is longer than ten years"
		}
		d += time.Duration(number) * left[0].is
		left, rest = left[1:], rest[digits+1:]
	}
	return d, ""
}

// FormatDuration writes a duration in one unit, the longest that gives a whole number. Days begin at three, because
// people say 24h and 48h, but 7d. Less than a second is cut off.
func FormatDuration(d time.Duration) string {
	unit, letter := time.Second, "s"
	switch {
	case d >= 3*day && d%day == 0:
		unit, letter = day, "d"
	case d >= time.Hour && d%time.Hour == 0:
		unit, letter = time.Hour, "h"
	case d >= time.Minute && d%time.Minute == 0:
		unit, letter = time.Minute, "m"
	}
	return strconv.FormatInt(int64(d/unit), 10) + letter
}
