package sbom

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Entry is what one version of a source package changed.
type Entry struct {
	Source  string
	Version Version
	Text    string // the lines between title and trailer
}

var (
	titleForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9+.-]*) \(([^()\s]+)\)((?:\s+[A-Za-z0-9.+-]+)+)\s*;`)
	cveForm   = regexp.MustCompile(`(?i)\bCVE-([0-9]{4})-([0-9]{4,9})\b`)
)

// ParseChangelog reads the entries of a changelog, newest first. It ends where the format ends: old changelogs
// are full of notes for editors and of formats before this one. The first entry has to be in order, so that an
// upstream project's own history is not taken for a changelog; the errors are of kind Invalid.
func ParseChangelog(text []byte) ([]Entry, error) {
	var entries []Entry
	var body strings.Builder
	open := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case strings.HasPrefix(line, " -- ") && open:
			entries[len(entries)-1].Text = strings.Trim(body.String(), "\n")
			body.Reset()
			open = false
		case line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			if open {
				body.WriteString(line + "\n")
			}
		default:
			entry, ok := parseTitle(line)
			if !ok || open {
				return finish(entries, open)
			}
			entries, open = append(entries, entry), true
		}
	}
	return finish(entries, open)
}

// finish drops an entry that lost its trailer.
func finish(entries []Entry, open bool) ([]Entry, error) {
	if open {
		entries = entries[:len(entries)-1]
	}
	if len(entries) == 0 {
		return nil, fault.New(fault.Invalid, "not a Debian changelog: its first entry has no title or no trailer")
	}
	return entries, nil
}

func parseTitle(line string) (Entry, bool) {
	m := titleForm.FindStringSubmatch(line)
	if m == nil {
		return Entry{}, false
	}
	version, err := ParseVersion(m[2])
	return Entry{Source: m[1], Version: version}, err == nil
}

// CVEs returns the ids that the entry names, in order and without repetition.
func (e Entry) CVEs() []string {
	ids := cveForm.FindAllString(e.Text, -1)
	for i := range ids {
		ids[i] = strings.ToUpper(ids[i])
	}
	return sortCVEs(ids)
}

// sortCVEs orders ids by year and number, and drops repetitions.
func sortCVEs(ids []string) []string {
	slices.SortFunc(ids, func(a, b string) int {
		yearA, numberA := cveParts(a)
		yearB, numberB := cveParts(b)
		return cmp.Or(cmp.Compare(yearA, yearB), cmp.Compare(numberA, numberB), strings.Compare(a, b))
	})
	return slices.Compact(ids)
}

func cveParts(id string) (year, number int) {
	m := cveForm.FindStringSubmatch(id)
	year, _ = strconv.Atoi(m[1])
	number, _ = strconv.Atoi(m[2])
	return year, number
}
