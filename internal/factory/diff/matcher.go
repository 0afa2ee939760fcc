package diff

// newMatcher chooses how to find the parts of old.
func newMatcher(old []byte) matcher {
	return &sorted{text: old, order: suffixes(old)}
}

// sorted finds the longest match by the order of all suffixes.
type sorted struct {
	text  []byte
	order []int32
}

// maxCompare bounds how far a search looks: what is as long is long enough, and texts that repeat themselves stay cheap.
const maxCompare = 4096

// maxTies is how many neighbours in the order are looked at for one that is nearer.
const maxTies = 16

func (s *sorted) longest(text []byte, near int) (from, length int) {
	text = text[:min(len(text), maxCompare)]
	low, high := 0, len(s.order) // the suffixes before low are less than text, those from high on are not
	lowSame, highSame := 0, 0
	for low < high {
		middle := int(uint(low+high) / 2)
		suffix := s.text[s.order[middle]:]
		same := min(lowSame, highSame)
		same += commonStart(suffix[same:], text[same:])
		if same < len(text) && (same == len(suffix) || suffix[same] < text[same]) {
			low, lowSame = middle+1, same
		} else {
			high, highSame = middle, same
		}
	}
	at := high
	if low > 0 && (high == len(s.order) || lowSame > highSame) {
		at, highSame = low-1, lowSame
	}
	if highSame == 0 {
		return 0, 0
	}
	return s.nearest(text[:highSame], at, near), highSame
}

// nearest looks around a place of the order for a suffix that begins with text and is near.
func (s *sorted) nearest(text []byte, at, near int) int {
	best := int(s.order[at])
	for _, step := range []int{-1, 1} {
		for i, n := at+step, 0; i >= 0 && i < len(s.order) && n < maxTies; i, n = i+step, n+1 {
			from := int(s.order[i])
			if commonStart(s.text[from:], text) < len(text) {
				break
			}
			if abs(from-near) < abs(best-near) {
				best = from
			}
		}
	}
	return best
}

func abs(n int) int { return max(n, -n) }
