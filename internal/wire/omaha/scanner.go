package omaha

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"conifer.dev/conifer/internal/fault"
)

// scanner walks through one XML document from front to back, once, without copying it. child enters the next element
// inside the current one or leaves the current one; attr gives the attributes of the element that was just entered.
// The first error stops everything and stays in err. It accepts what encoding/xml does in strict mode, except document
// types, text that is not UTF-8 and elements deeper than maxDepth, and besides that a byte order mark and stray quotes.
type scanner struct {
	text  string
	at    int
	inTag bool // the attributes of the innermost element are still to come
	empty bool // the innermost element has ended with its own tag

	name  string // of the element or attribute that was just found, without a namespace's prefix
	value string // of the attribute
	stray bool   // a stray quote was met: this is no XML
	err   error

	depth int
	open  [maxDepth]string // the elements around here, as written
}

// enter begins a document and enters its root element.
func (s *scanner) enter(text []byte, root string, limitBytes int) error {
	if len(text) > limitBytes {
		return fault.New(fault.Invalid, "omaha %s has %d bytes, more than %d", root, len(text), limitBytes)
	}
	if !utf8.Valid(text) {
		return fault.New(fault.Invalid, "omaha %s is not UTF-8", root)
	}
	s.text = strings.TrimPrefix(string(text), "\ufeff")
	if !s.child() {
		s.fail("no root element")
	} else if s.name != root {
		s.fail("root element is <%s>, want <%s>", s.name, root)
	}
	return s.err
}

// finish checks that nothing follows the root element, which has been left.
func (s *scanner) finish() error {
	if s.child() {
		s.fail("data after the root element")
	}
	return s.err
}

// fail records the first violated rule, and where.
func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		line := 1 + strings.Count(s.text[:s.at], "\n")
		s.err = fault.New(fault.Invalid, "parse omaha, line %d: %s", line, fmt.Sprintf(format, args...))
	}
}

// child reads to the next start tag inside the current element and enters it, or else to the current element's end,
// and leaves it.
func (s *scanner) child() bool {
	for s.attr() {
	}
	if s.empty {
		s.empty = false
		s.depth--
		return false
	}
	for s.err == nil {
		s.space()
		switch rest := s.text[s.at:]; {
		case rest == "":
			if s.depth > 0 {
				s.fail("unexpected end inside <%s>", s.open[s.depth-1])
			}
			return false
		case rest[0] != '<':
			s.chars()
		case strings.HasPrefix(rest, "</"):
			s.end()
			return false
		case strings.HasPrefix(rest, "<?"):
			s.instruction()
		case strings.HasPrefix(rest, "<!"):
			s.declaration()
		default:
			return s.start()
		}
	}
	return false
}

// skip leaves the element that was just entered, with everything in it.
func (s *scanner) skip() {
	for s.child() {
		s.skip()
	}
}

// start enters the element whose start tag begins here.
func (s *scanner) start() bool {
	s.at++
	name, local := s.takeName()
	switch {
	case name == "":
		s.fail("no name after <")
	case s.depth == maxDepth:
		s.fail("more than %d elements in one another", maxDepth)
	}
	if s.err != nil {
		return false
	}
	s.open[s.depth] = name
	s.depth++
	s.inTag = true
	s.name = local
	return true
}

// attr takes the next attribute of the element that was just entered, and is false after the last one.
func (s *scanner) attr() bool {
	if !s.inTag || s.err != nil {
		return false
	}
	s.space()
	if s.take(">") {
		s.inTag = false
		return false
	}
	if s.take("/>") {
		s.inTag, s.empty = false, true
		return false
	}
	name, local := s.takeName()
	if name == "" {
		s.fail("no attribute name, > or /> in <%s>", s.open[s.depth-1])
		return false
	}
	s.name = local
	s.space()
	if !s.take("=") {
		s.fail("attribute %s without =", name)
		return false
	}
	s.space()
	s.value = s.quoted()
	return s.err == nil
}

// end leaves the element whose end tag is here.
func (s *scanner) end() {
	s.at += len("</")
	name, _ := s.takeName()
	s.space()
	switch {
	case s.depth == 0:
		s.fail("</%s> ends nothing", name)
	case name != s.open[s.depth-1]:
		s.fail("<%s> ends with </%s>", s.open[s.depth-1], name)
	case !s.take(">"):
		s.fail("</%s does not end with >", name)
	default:
		s.depth--
	}
}

// chars passes over text between tags, which nothing in Omaha needs. It must be well-formed all the same.
func (s *scanner) chars() {
	raw := s.text[s.at:]
	if end := strings.IndexByte(raw, '<'); end >= 0 {
		raw = raw[:end]
	}
	if s.depth == 0 {
		s.fail("text before or after the root element")
	} else if strings.Contains(raw, "]]>") {
		s.fail("]]> in text")
	} else if _, err := unescape(raw); err != nil {
		s.fail("%v", err)
	}
	s.at += len(raw)
}

// declaration passes over a comment or CDATA. Document types are refused: Omaha has no use for them, and entities have
// only ever served attacks.
func (s *scanner) declaration() {
	switch {
	case s.take("<!--"):
		if s.until("--"); !s.take(">") {
			s.fail("-- in a comment")
		}
	case s.take("<![CDATA["):
		if text := s.until("]]>"); !allCharacters(text) {
			s.fail("a character in CDATA that XML does not allow")
		} else if s.depth == 0 {
			s.fail("text before or after the root element")
		}
	default:
		s.fail("a document type is not allowed")
	}
}

// instruction passes over a processing instruction. In the XML declaration, version and encoding must be the ones that
// are read here.
func (s *scanner) instruction() {
	s.at += len("<?")
	target, _ := s.takeName()
	if target == "" {
		s.fail("no name after <?")
		return
	}
	content := s.until("?>")
	if target != "xml" {
		return
	}
	if version := declared(content, "version="); version != "" && version != "1.0" {
		s.fail("XML version is %q, want 1.0", version)
	}
	if encoding := declared(content, "encoding="); encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		s.fail("encoding is %q, want UTF-8", encoding)
	}
}

// declared is the quoted text after key in an XML declaration, or "".
func declared(content, key string) string {
	for {
		_, after, _ := strings.Cut(content, key)
		if after == "" {
			return ""
		}
		if after[0] == '"' || after[0] == '\'' {
			text, _, ended := strings.Cut(after[1:], after[:1])
			if !ended {
				return ""
			}
			return text
		}
		content = after[1:]
	}
}

// until passes over everything to the end of the next mark, and gives what is before it.
func (s *scanner) until(mark string) string {
	before, _, found := strings.Cut(s.text[s.at:], mark)
	if !found {
		s.fail("unexpected end, %s is missing", mark)
		return ""
	}
	s.at += len(before) + len(mark)
	return before
}

// take passes over text if it is here.
func (s *scanner) take(text string) bool {
	if !strings.HasPrefix(s.text[s.at:], text) {
		return false
	}
	s.at += len(text)
	return true
}

func (s *scanner) space() { s.at = spaceEnd(s.text, s.at) }

// takeName takes the name here, or nothing, and gives it as written and without the prefix of a namespace.
func (s *scanner) takeName() (name, local string) {
	from := s.at
	end, at := nameEnd(s.text, from)
	s.at = end
	return s.text[from:end], s.text[at:end]
}
