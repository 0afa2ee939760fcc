package fleet

// symbol stands for a text that many machines share: a version, a group, an architecture. 0 is the empty text.
type symbol uint32

// maxSymbols bounds what strangers can make the service remember: a machine whose texts no longer fit is answered and not
// registered.
const maxSymbols = 1 << 16

// symbols numbers texts. A number is never given back, so a record may keep it.
type symbols struct {
	numbers map[string]symbol
	texts   []string
}

func newSymbols() symbols {
	return symbols{numbers: map[string]symbol{"": 0}, texts: []string{""}}
}

// number gives the symbol of a text, making it when there is none yet. It reports false when the table is full.
func (s *symbols) number(text string) (symbol, bool) {
	if n, ok := s.numbers[text]; ok {
		return n, true
	}
	if len(s.texts) >= maxSymbols {
		return 0, false
	}
	n := symbol(len(s.texts))
	kept := string(append([]byte(nil), text...)) // text may be a part of a whole request
	s.numbers[kept] = n
	s.texts = append(s.texts, kept)
	return n, true
}

func (s *symbols) text(n symbol) string { return s.texts[n] }
