package slots

import (
	"fmt"
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

const (
	entrySuffix = ".efi"
	tempPrefix  = ".conifer_"
	tempSuffix  = ".tmp"
	maxVersion  = 36 - len(labelPrefix) // a partition label has 36 UTF-16 units
)

// entryName is a boot entry's file name, taken apart: conifer_<version>[+<left>[-<done>]].efi.
type entryName struct {
	version string
	counted bool // the name has a counter
	left    int
	done    int
}

// maxTries bounds the counters of a name.
const maxTries = 1 << 20

// parseEntryName reads a file name as systemd-boot does: the counter follows the last plus sign. It reports
// false for a file that is no entry of ours.
func parseEntryName(file string) (entryName, bool) {
	rest, ok := strings.CutPrefix(file, labelPrefix)
	if !ok {
		return entryName{}, false
	}
	if rest, ok = strings.CutSuffix(rest, entrySuffix); !ok {
		return entryName{}, false
	}
	n := entryName{version: rest}
	if plus := strings.LastIndexByte(rest, '+'); plus >= 0 {
		left, done, ok := parseCounter(rest[plus+1:])
		if ok {
			n = entryName{version: rest[:plus], counted: true, left: left, done: done}
		}
	}
	return n, release.ValidVersion(n.version)
}

// parseCounter reads <left> or <left>-<done>.
func parseCounter(text string) (left, done int, ok bool) {
	leftText, doneText, both := strings.Cut(text, "-")
	if left, ok = parseTries(leftText); !ok || !both {
		return left, 0, ok
	}
	done, ok = parseTries(doneText)
	return left, done, ok
}

func parseTries(text string) (int, bool) {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n <= maxTries
}

// String is the inverse of parseEntryName.
func (n entryName) String() string {
	switch {
	case !n.counted:
		return labelPrefix + n.version + entrySuffix
	case n.done == 0:
		return fmt.Sprintf("%s%s+%d%s", labelPrefix, n.version, n.left, entrySuffix)
	}
	return fmt.Sprintf("%s%s+%d-%d%s", labelPrefix, n.version, n.left, n.done, entrySuffix)
}

// CheckVersion refuses a version that makes no partition label or no boot entry: one that is too long, or ends like a boot
// counter, so that its committed entry would look like one on trial.
func CheckVersion(version string) error {
	if !release.ValidVersion(version) {
		return fault.New(fault.Invalid, "version %q is not of the form 1.2.3", version)
	}
	if len(version) > maxVersion {
		return fault.New(fault.Unsupported, "version %q has %d characters, a partition label holds %d", version, len(version), maxVersion)
	}
	want := entryName{version: version}
	if got, ok := parseEntryName(want.String()); !ok || got != want {
		return fault.New(fault.Unsupported, "version %q ends like a boot counter", version)
	}
	return nil
}

// EntryPattern matches a release's boot entry in LoaderEntryOneShot. systemd-boot compares a pattern in lower case with
// the name of the file without its counter. A name that had a counter keeps its capitals, so a capital is matched by any
// character.
func EntryPattern(version string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return '?'
		}
		return r
	}, entryName{version: version}.String())
}

// sameFile reports whether two versions would share a file name on FAT, which ignores case.
func sameFile(a, b string) bool { return strings.EqualFold(a, b) }

// isTemp reports whether a file is a boot entry that was being written.
func isTemp(file string) bool {
	return strings.HasPrefix(file, tempPrefix) && strings.HasSuffix(file, tempSuffix)
}

func tempName(version string) string { return tempPrefix + version + tempSuffix }
