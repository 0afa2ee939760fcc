package update

import (
	"fmt"
	"strings"
)

// Describe writes the state for people: one fact per line, and no line for what is not so.
func (s State) Describe() string {
	var b strings.Builder
	fact := func(show bool, format string, args ...any) {
		if show {
			fmt.Fprintf(&b, format+"\n", args...)
		}
	}
	fact(true, "%s", s.Headline())
	fact(s.Live.Waiting != "", "waits for %s", s.Live.Waiting)
	fact(s.Lock != LockNone, "reboot lock: %s", s.Lock)
	fact(s.Newest != "", "newest committed: %s", s.Newest)
	for _, version := range sortedKeys(s.Failed) {
		fact(true, "failed: %s: %s", version, s.Failed[version].Why)
	}
	fact(len(s.NoDelta) > 0, "delta failed: %s", strings.Join(s.NoDelta, ", "))
	fact(s.Begun > 0, "begun again: %d times", s.Begun)
	fact(s.Live.Declined != "", "offered, but failed here before: %s", s.Live.Declined)
	fact(s.Lost.Times > 0, "boot entry of %s lost %d times", s.Lost.Version, s.Lost.Times)
	fact(s.Told > 0, "boot loader told to start %s: %d times", s.Target.Version, s.Told)
	if p := s.Problem; p != nil {
		fact(true, "last problem: %s%s", prefix(p.Version), p.Why)
	}
	for _, r := range s.Reports {
		fact(true, "to report: %s", r)
	}
	return b.String()
}

// Headline is the state in one line.
func (s State) Headline() string {
	version := s.Target.Version
	switch s.Phase {
	case Idle:
		return "idle"
	case Installing:
		return "installing " + version
	case Installed:
		return version + " is installed and waits for its reboot"
	case Rebooting:
		return "rebooting into " + version
	case Trial:
		return version + " is on trial"
	case Committing:
		if s.Reason != "" {
			return "committing " + version + ", because there is no way back from it"
		}
		return version + " is healthy, committing it"
	case RollingBack:
		return "leaving " + version + prefixed(": ", s.Reason)
	case Retiring:
		return "retiring " + version
	}
	return string(s.Phase)
}

// String is the report as `type/result version`.
func (r Report) String() string {
	text := fmt.Sprintf("%d/%d %s", r.Type, r.Result, r.Version)
	if r.Code != 0 {
		text += fmt.Sprintf(" code %d", r.Code)
	}
	if r.Delta {
		text += " by a delta"
	}
	return text + prefixed(" after ", r.Previous)
}

func prefix(version string) string {
	if version == "" {
		return ""
	}
	return version + ": "
}

func prefixed(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
