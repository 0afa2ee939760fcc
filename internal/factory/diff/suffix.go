package diff

// suffixes sorts all suffixes of text, of less than 2 GiB, in time linear in its length, by induced sorting (Nong, Zhang and Chan,
// "Two Efficient Algorithms for Linear Time Suffix Array Construction", 2011). A suffix that is a prefix of another comes first.
func suffixes(text []byte) []int32 {
	order := make([]int32, len(text))
	induceSort(text, order, 256)
	return order
}

// letter is what a text is made of: bytes, and in the recursion the names of substrings.
type letter interface{ byte | int32 }

// induceSort fills order, which is as long as text and zero, with the sorted suffixes. The letters are below alphabet.
func induceSort[T letter](text []T, order []int32, alphabet int) {
	if len(text) < 2 {
		return
	}
	s := &sorter[T]{text: text, order: order, ends: make([]int32, alphabet), at: make([]int32, alphabet)}
	for _, c := range text {
		s.ends[c]++
	}
	for c, sum := 0, int32(0); c < alphabet; c++ {
		sum += s.ends[c]
		s.ends[c] = sum
	}
	if valleys := s.sortSubstrings(); valleys > 0 {
		names := s.name(valleys)
		s.sortValleys(valleys, names)
	}
	s.induceLarge()
	s.induceSmall()
}

// sorter is one level of the recursion. A suffix is small when it is less than the one after it, else large; a valley is a
// small one after a large one. Once the valleys are in order, the large suffixes before them follow, and from these the small ones.
// Whether the suffix before one is small or large shows when it is put in its place, where its letters are at hand; the
// sign remembers it, so that a pass looks at the text once for each suffix. A zero is a free place: nothing follows from suffix 0.
type sorter[T letter] struct {
	text  []T
	order []int32
	ends  []int32 // for each letter the end of the range of its suffixes
	at    []int32 // for each letter the place to fill next
}

// eachValley goes through the valleys from the last to the first.
func (s *sorter[T]) eachValley(visit func(i int)) {
	small := false // the last suffix is greater than the empty one
	for i := len(s.text) - 2; i >= 0; i-- {
		switch a, b := s.text[i], s.text[i+1]; {
		case a < b:
			small = true
		case a > b:
			if small {
				visit(i + 1)
			}
			small = false
		}
	}
}

func (s *sorter[T]) fromHeads() {
	s.at[0] = 0
	copy(s.at[1:], s.ends)
}

func (s *sorter[T]) fromEnds() { copy(s.at, s.ends) }

// sortSubstrings sorts the substrings from a valley to the next, and leaves the valleys in their order at the end of order.
func (s *sorter[T]) sortSubstrings() (valleys int) {
	s.fromEnds()
	s.eachValley(func(i int) {
		c := s.text[i]
		s.at[c]--
		s.order[s.at[c]] = int32(i)
		valleys++
	})
	if valleys == 0 {
		return 0
	}
	s.substringsLarge()
	s.substringsSmall()
	return valleys
}

// first is the entry of the last suffix, which begins every induction of large ones.
func (s *sorter[T]) first() int32 {
	n := len(s.text)
	if s.text[n-2] < s.text[n-1] {
		return -int32(n - 1)
	}
	return int32(n - 1)
}

// substringsLarge leaves only those large suffixes that a small one precedes.
func (s *sorter[T]) substringsLarge() {
	text, order, at := s.text, s.order, s.at
	s.fromHeads()
	last := text[len(text)-1]
	order[at[last]] = s.first()
	at[last]++
	for i := range order {
		j := order[i]
		if j <= 0 {
			order[i] = -j
			continue
		}
		order[i] = 0
		j--
		c := text[j]
		if j > 0 && text[j-1] < c {
			order[at[c]] = -j
		} else {
			order[at[c]] = j
		}
		at[c]++
	}
}

// substringsSmall leaves only valleys, moved to the end.
func (s *sorter[T]) substringsSmall() {
	text, order, at := s.text, s.order, s.at
	s.fromEnds()
	top := len(order)
	for i := len(order) - 1; i >= 0; i-- {
		j := order[i]
		if j == 0 {
			continue
		}
		order[i] = 0
		if j < 0 {
			top--
			order[top] = -j
			continue
		}
		j--
		c := text[j]
		at[c]--
		if j > 0 && text[j-1] > c {
			order[at[c]] = -j
		} else {
			order[at[c]] = j
		}
	}
}

// name gives the substrings of the sorted valleys their names, from 1 on, equal ones the same. When some are equal, the text of
// the names in the order of the valleys is written to the end; otherwise the order there is final.
func (s *sorter[T]) name(valleys int) (names int) {
	n := len(s.text)
	// First the lengths, at half the position, which is free: valleys are never neighbours, and at most half of all.
	next := n - 1
	s.eachValley(func(i int) {
		s.order[i/2] = int32(next - i + 1)
		next = i
	})
	last, lastLength := 0, 0
	for _, v := range s.order[n-valleys:] {
		i := int(v)
		length := int(s.order[i/2])
		if length != lastLength || !equal(s.text[i:i+length], s.text[last:last+length]) {
			names++
			last, lastLength = i, length
		}
		s.order[i/2] = int32(names)
	}
	if names == valleys {
		return names
	}
	end := n
	for i := n/2 - 1; i >= 0; i-- {
		if s.order[i] != 0 {
			end--
			s.order[end] = s.order[i]
		}
	}
	return names
}

func equal[T letter](a, b []T) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// sortValleys puts the valleys, in their order, to the ends of the ranges of their letters.
func (s *sorter[T]) sortValleys(valleys, names int) {
	n := len(s.text)
	if sorted, rest := s.order[:valleys], s.order[n-valleys:]; names == valleys {
		copy(sorted, rest)
	} else {
		clear(s.order[:n-valleys])
		induceSort(rest, sorted, names+1)
		i := valleys
		s.eachValley(func(at int) {
			i--
			rest[i] = int32(at)
		})
		for i, r := range sorted {
			sorted[i] = rest[r]
		}
	}
	clear(s.order[valleys:])
	s.fromEnds()
	for i := valleys - 1; i >= 0; i-- {
		v := s.order[i]
		s.order[i] = 0
		c := s.text[v]
		s.at[c]--
		s.order[s.at[c]] = v
	}
}

// induceLarge puts all large suffixes in their places; those that a small one precedes are negative afterwards.
func (s *sorter[T]) induceLarge() {
	text, order, at := s.text, s.order, s.at
	s.fromHeads()
	last := text[len(text)-1]
	order[at[last]] = s.first()
	at[last]++
	for i := range order {
		j := order[i]
		if j <= 0 {
			continue
		}
		j--
		c := text[j]
		if j > 0 && text[j-1] < c {
			order[at[c]] = -j
		} else {
			order[at[c]] = j
		}
		at[c]++
	}
}

// induceSmall puts all small suffixes in their places.
func (s *sorter[T]) induceSmall() {
	text, order, at := s.text, s.order, s.at
	s.fromEnds()
	for i := len(order) - 1; i >= 0; i-- {
		j := order[i]
		if j >= 0 {
			continue
		}
		order[i] = -j
		j = -j - 1
		c := text[j]
		at[c]--
		if j > 0 && text[j-1] <= c {
			order[at[c]] = -j
		} else {
			order[at[c]] = j
		}
	}
}
