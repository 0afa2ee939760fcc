package omaha

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoted takes the attribute value that begins here.
func (s *scanner) quoted() string {
	if s.at == len(s.text) || s.text[s.at] != '"' && s.text[s.at] != '\'' {
		s.fail("attribute %s has no quoted value", s.name)
		return ""
	}
	raw, plain := s.rawValue()
	if plain {
		return raw
	}
	text, err := unescape(raw)
	if err != nil {
		s.fail("attribute %s: %v", s.name, err)
	}
	return text
}

// rawValue takes the value from the quote here to the quote that ends it, and reports whether it is plain text. In a
// well-formed document that is the next quote of the same kind. But update_engine before October 2023 wrote
// MACHINE_ALIAS="a b" as machinealias=""a b"", so a quote ends the value only where the tag can go on behind it; what
// it could not end is part of the value, less one pair of quotes around the whole.
func (s *scanner) rawValue() (raw string, plain bool) {
	quote := s.text[s.at]
	from := s.at + 1
	plain, stray := true, false
	for i := from; i < len(s.text); i++ {
		c := s.text[i]
		switch {
		case !special[c]:
		case c == quote && tagGoesOn(s.text, i+1):
			raw, s.at = s.text[from:i], i+1
			if stray {
				s.stray = true
				raw = unpaired(raw, quote)
			}
			return raw, plain
		case c == quote:
			stray = true
		case c == '<':
			s.fail("< in the value of attribute %s", s.name)
			return "", false
		default:
			plain = false
		}
	}
	s.fail("unexpected end in the value of attribute %s", s.name)
	return "", false
}

// special are the bytes by which a value may end or may not be what it says. 0xef begins, among others, the two
// characters below 0x10000 that UTF-8 can say and XML forbids.
var special = func() (table [256]bool) {
	for c := range 0x20 {
		table[c] = c != '\t' && c != '\n'
	}
	for _, c := range []byte{'"', '\'', '<', '&', 0xef} {
		table[c] = true
	}
	return table
}()

// tagGoesOn reports whether, after white space, the tag ends at i or its next attribute begins there.
func tagGoesOn(text string, i int) bool {
	i = spaceEnd(text, i)
	switch rest := text[i:]; {
	case rest == "":
		return false
	case rest[0] == '>':
		return true
	case rest[0] == '/':
		return len(rest) > 1 && rest[1] == '>'
	}
	end, _ := nameEnd(text, i)
	if end == i {
		return false
	}
	i = spaceEnd(text, end)
	if i == len(text) || text[i] != '=' {
		return false
	}
	i = spaceEnd(text, i+1)
	return i < len(text) && (text[i] == '"' || text[i] == '\'')
}

// unpaired is raw without the quotes around it, if it has one at both ends.
func unpaired(raw string, quote byte) string {
	if len(raw) >= 2 && raw[0] == quote && raw[len(raw)-1] == quote {
		return raw[1 : len(raw)-1]
	}
	return raw
}

// number is the value of the attribute as a whole number; an empty one is 0.
func (s *scanner) number() int64 {
	if s.value == "" {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s.value), 10, 64)
	if err != nil {
		s.fail("attribute %s: %v", s.name, err)
	}
	return n
}

// truth is the value of the attribute as true or false; an empty one is false.
func (s *scanner) truth() bool {
	if s.value == "" {
		return false
	}
	b, err := strconv.ParseBool(strings.TrimSpace(s.value))
	if err != nil {
		s.fail("attribute %s: %v", s.name, err)
	}
	return b
}

// unescape is the text that raw stands for: references resolved and line ends made one (XML 1.0, sections 2.11 and 4.1).
func unescape(raw string) (string, error) {
	text := raw
	if strings.ContainsAny(raw, "&\r") {
		out := make([]byte, 0, len(raw))
		for i := 0; i < len(raw); i++ {
			switch c := raw[i]; {
			case c == '&':
				r, size, err := reference(raw[i:])
				if err != nil {
					return "", err
				}
				out = utf8.AppendRune(out, r)
				i += size - 1
			case c != '\r':
				out = append(out, c)
			case i+1 == len(raw) || raw[i+1] != '\n':
				out = append(out, '\n')
			}
		}
		text = string(out)
	}
	if !allCharacters(text) {
		return "", errors.New("a character that XML does not allow")
	}
	return text, nil
}

// reference is the character that the reference at the front of text stands for, and the length of the reference.
func reference(text string) (r rune, size int, err error) {
	name, _, ended := strings.Cut(text[1:], ";")
	size = len(name) + 2
	if ended {
		switch name {
		case "lt":
			return '<', size, nil
		case "gt":
			return '>', size, nil
		case "amp":
			return '&', size, nil
		case "quot":
			return '"', size, nil
		case "apos":
			return '\'', size, nil
		}
		if r, ok := numbered(name); ok {
			return r, size, nil
		}
	}
	return 0, 0, fmt.Errorf("&%.12s is no reference", name)
}

// numbered is the character of a reference by number: #65, #x41.
func numbered(name string) (rune, bool) {
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= unicode.MaxRune
}

// allCharacters reports whether XML allows every character of text (XML 1.0, section 2.2).
func allCharacters(text string) bool {
	for _, r := range text {
		if !isCharacter(r) {
			return false
		}
	}
	return true
}

func isCharacter(r rune) bool {
	return r >= 0x20 && r != 0xfffe && r != 0xffff || r == '\t' || r == '\n' || r == '\r'
}

func spaceEnd(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// nameEnd is where the name that begins at i ends, i when there is none, and where its local part begins, behind the
// prefix of a namespace.
func nameEnd(text string, i int) (end, local int) {
	from, colons := i, 0
	local = i
	for ; i < len(text) && inName[text[i]]; i++ {
		if text[i] == ':' {
			colons++
			local = i + 1
		}
	}
	switch {
	case i == from || colons > 1 || notFirst(text[from]):
		return from, from
	case local == i || local == from+1:
		return i, from // a colon at an end separates nothing
	}
	return i, local
}

// inName are the bytes of names. Which letters beyond ASCII XML allows in them decides nothing here.
var inName = func() (table [256]bool) {
	for c := range 256 {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		table[c] = letter || c >= '0' && c <= '9' || c == '_' || c == ':' || c == '.' || c == '-' || c >= utf8.RuneSelf
	}
	return table
}()

// notFirst are the bytes of names with which no name begins.
func notFirst(c byte) bool { return c >= '0' && c <= '9' || c == '-' || c == '.' }
