package sbom

import (
	"cmp"
	"regexp"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Version is a version of a Debian package: [epoch:]upstream[-revision].
type Version struct {
	epoch    string // digits without leading zeros; empty is zero
	upstream string
	revision string
	text     string
}

var (
	epochForm    = regexp.MustCompile(`^[0-9]{1,10}$`)
	upstreamForm = regexp.MustCompile(`^[A-Za-z0-9.+:~-]{1,256}$`)
	revisionForm = regexp.MustCompile(`^[A-Za-z0-9.+~]{1,256}$`)
)

// ParseVersion takes a version apart; its errors are of kind Invalid.
func ParseVersion(text string) (Version, error) {
	v := Version{text: text}
	rest := text
	if epoch, after, ok := strings.Cut(rest, ":"); ok {
		if !epochForm.MatchString(epoch) {
			return Version{}, fault.New(fault.Invalid, "version %q has no number before its colon", text)
		}
		v.epoch, rest = strings.TrimLeft(epoch, "0"), after
	}
	v.upstream = rest
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		v.upstream, v.revision = rest[:i], rest[i+1:]
		if !revisionForm.MatchString(v.revision) {
			return Version{}, fault.New(fault.Invalid, "version %q has a wrong revision", text)
		}
	}
	if !upstreamForm.MatchString(v.upstream) {
		return Version{}, fault.New(fault.Invalid, "version %q has characters that no version has", text)
	}
	return v, nil
}

func (v Version) String() string { return v.text }

// Compare orders two versions: negative when v is older than w.
func (v Version) Compare(w Version) int {
	return cmp.Or(
		compareNumbers(v.epoch, w.epoch),
		compareParts(v.upstream, w.upstream),
		compareParts(v.revision, w.revision),
	)
}

// compareParts compares runs of other characters and runs of digits in turn, until one differs.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		var runA, runB string
		runA, a = span(a, false)
		runB, b = span(b, false)
		if c := compareRuns(runA, runB); c != 0 {
			return c
		}
		runA, a = span(a, true)
		runB, b = span(b, true)
		if c := compareNumbers(strings.TrimLeft(runA, "0"), strings.TrimLeft(runB, "0")); c != 0 {
			return c
		}
	}
	return 0
}

// span cuts the longest run of digits, or of anything else, off the front of s.
func span(s string, digits bool) (run, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

// compareNumbers compares digits without leading zeros by value, however many there are.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// compareRuns compares character by character in the order of rank.
func compareRuns(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(rank(a, i), rank(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

// rank puts a tilde before the end of a run, the end before the letters, and these before all else.
func rank(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'A' && s[i] <= 'Z', s[i] >= 'a' && s[i] <= 'z':
		return int(s[i])
	}
	return int(s[i]) + 256
}
