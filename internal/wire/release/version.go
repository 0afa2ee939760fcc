package release

import (
	"regexp"
	"strings"
)

var versionForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}([.+~-][0-9A-Za-z.~+-]*)?$`)

// ValidVersion reports whether v may name a release: up to four numbers with dots, then an optional suffix.
func ValidVersion(v string) bool { return len(v) <= 64 && versionForm.MatchString(v) }

// Compare orders two versions: negative when a is older than b, 0 when they are the same release. It follows
// the Version Format Specification of the UAPI group, as systemd-boot does when it sorts boot entries, so
// that the boot loader and the agent agree on what is newer.
func Compare(a, b string) int {
	for {
		a, b = skipSeparators(a), skipSeparators(b)
		if c, done := compareMark(&a, &b, '~'); done {
			return c
		}
		if a == "" || b == "" {
			return len(a) - len(b)
		}
		for _, mark := range []byte("-^.") {
			if c, done := compareMark(&a, &b, mark); done {
				return c
			}
		}
		if c := comparePart(&a, &b); c != 0 {
			return c
		}
	}
}

func skipSeparators(s string) string {
	return strings.TrimLeftFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("~-^.", r))
	})
}

// compareMark handles a separator: whoever has it here is older. It has fewer numbers before it; and "~" sorts before
// everything, even the end of the string.
func compareMark(a, b *string, mark byte) (int, bool) {
	hasA := len(*a) > 0 && (*a)[0] == mark
	hasB := len(*b) > 0 && (*b)[0] == mark
	switch {
	case hasA && hasB:
		*a, *b = (*a)[1:], (*b)[1:]
		return 0, false
	case hasA:
		return -1, true
	case hasB:
		return 1, true
	}
	return 0, false
}

// comparePart compares one run of digits by value, or one run of letters by order (capitals first). A
// number is newer than letters.
func comparePart(a, b *string) int {
	digitA, digitB := startsWithDigit(*a), startsWithDigit(*b)
	if digitA || digitB {
		x, restA := cut(*a, isDigit)
		y, restB := cut(*b, isDigit)
		*a, *b = restA, restB
		if (x == "") != (y == "") {
			return len(x) - len(y)
		}
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(x, y)
	}
	x, restA := cut(*a, isLetter)
	y, restB := cut(*b, isLetter)
	*a, *b = restA, restB
	return strings.Compare(x, y)
}

func startsWithDigit(s string) bool { return s != "" && isDigit(s[0]) }
func isDigit(c byte) bool           { return c >= '0' && c <= '9' }
func isLetter(c byte) bool          { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func cut(s string, in func(byte) bool) (run, rest string) {
	i := 0
	for i < len(s) && in(s[i]) {
		i++
	}
	return s[:i], s[i:]
}
