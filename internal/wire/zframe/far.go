package zframe

import (
	"math/bits"
	"sort"

	"conifer.dev/conifer/internal/wire/entropy"
)

// far knows of matches that lie too far back to be remembered. The description says at which places of a segment they are needed, and
// all the content before is searched for the places of a segment at once.
type far struct {
	content *Pages
	window  int
	near    *recent
	start   int // of the segment
	until   int // the end of the segment
	places  []uint32
	exact   []uint16 // for each place the length that is looked for, or 0 when the longest are
	found   [][farKept]candidate
	at      int // the first place that was not asked for yet
	needed  []need
	sought  []sought
	heads   [1<<farKeys + 1]uint16
	filter  [1 << farFilter / 64]uint64

	some     entropy.Prob
	isExact  entropy.Prob
	lengths  *entropy.Number
	mixer    *entropy.Mixer
	contexts [farOpinions][]entropy.Prob
	last     int // place
}

// need is a match of the frame that nobody else knows of.
type need struct {
	place           int
	match, distance uint32
}

const (
	farSegment  = 2 << 20
	farMost     = 1 << 15 // places in a segment
	farKept     = 4       // matches at a place
	farNearest  = 1 << 19 // what is nearer is remembered
	farLongest  = 1 << 10
	farWork     = 20 // comparisons for each byte of content
	farOpinions = 5
	farContexts = 15 // bits
	farKeys     = 16 // bits of a hash table
	farFilter   = 19 // bits of a table of bits
	farStates   = 20
	farRate     = 2
	farLimit    = 1000
)

func newFar(content *Pages, window int, near *recent) *far {
	f := &far{content: content, near: near, window: window, lengths: entropy.NewNumber(), mixer: entropy.NewMixer(farOpinions, farStates, farRate)}
	for i := range f.contexts {
		f.contexts[i] = make([]entropy.Prob, 1<<farContexts)
	}
	return f
}

// segment codes the places of the next segment, which ends at least at end, and searches for them.
func (f *far) segment(c *entropy.Coder, old *oldGuide, end int) error {
	from := max(f.until, 2)
	f.start = from
	f.until = min(max(end, f.until+farSegment), f.content.size)
	f.places, f.at = f.places[:0], 0
	if !c.Reading() {
		f.choose()
	}
	if f.some.Code(c, truth(len(f.places) > 0), modelLimit) == 0 {
		return nil
	}
	if err := f.code(c, old, from); err != nil {
		return err
	}
	f.search()
	return nil
}

// choose takes those of the needed places where the search will find what is needed: among the longest matches, or by its length.
func (f *far) choose() {
	var wanted []need
	f.exact = f.exact[:0]
	for len(f.needed) > 0 && f.needed[0].place < f.until {
		if n := f.needed[0]; !f.content.running(n.place) && len(wanted) < farMost {
			wanted = append(wanted, n)
			f.places = append(f.places, uint32(n.place))
			f.exact = append(f.exact, 0)
		}
		f.needed = f.needed[1:]
	}
	f.search()
	for i, n := range wanted {
		if !f.finds(i, n) {
			f.exact[i] = uint16(min(n.match, farLongest))
		}
	}
	f.search()
	places, exact := f.places[:0], f.exact[:0]
	for i, n := range wanted {
		if f.finds(i, n) {
			places, exact = append(places, uint32(n.place)), append(exact, f.exact[i])
		}
	}
	f.places, f.exact = places, exact
}

// finds reports whether the search has found what is needed at the place with a number.
func (f *far) finds(i int, n need) bool {
	for _, c := range f.found[i] {
		if c.distance == n.distance && c.length >= min(n.match, farLongest) {
			return true
		}
	}
	return false
}

// code codes which places are in the segment.
func (f *far) code(c *entropy.Coder, old *oldGuide, from int) error {
	places, exact := f.places, f.exact
	var got []uint32
	var lengths []uint16
	for place := from; place < f.until; place++ {
		bit, length := 0, uint16(0)
		if len(places) > 0 && int(places[0]) == place {
			bit, places = 1, places[1:]
			length, exact = exact[0], exact[1:]
		}
		if f.content.running(place) || f.bit(c, old, place, bit) == 0 {
			continue
		}
		got, lengths = append(got, uint32(place)), append(lengths, f.length(c, length))
		if len(got) > farMost || c.Overrun() {
			return corrupt("description has too many far matches")
		}
		f.last = place
	}
	f.places, f.exact = got, lengths
	return nil
}

// length codes the length that is looked for at a place.
func (f *far) length(c *entropy.Coder, length uint16) uint16 {
	if f.isExact.Code(c, truth(length > 0), modelLimit) == 0 {
		return 0
	}
	return uint16(min(f.lengths.Code(c, uint64(length-1)), farLongest-1)) + 1
}

// bit codes whether a place is one, in the light of the bytes around it and of the old frame.
func (f *far) bit(c *entropy.Coder, old *oldGuide, place, bit int) int {
	state := f.state(old, place)
	since := min(bits.Len(uint(place-f.last)), 15)
	b := f.content.word(place - 2)
	opinions := [farOpinions]*entropy.Prob{}
	for i, context := range [farOpinions]uint64{uint64(state*16 + since), b & 0xffff, b >> 16 & 0xffff, b >> 8 & 0xffffff, b>>16&0xff<<8 | uint64(state)} {
		p := &f.contexts[i][context*0x9E3779B97F4A7C15>>(64-farContexts)]
		opinions[i] = p
		f.mixer.Add(p)
	}
	bit = f.mixer.Code(c, state, bit)
	for _, p := range opinions {
		p.Learn(bit, farLimit)
	}
	return bit
}

// state is what the old frame has at a place: nothing known, literals, or a match, of a kind, at some of its bytes, and whether its
// source in the new content is as good.
func (f *far) state(old *oldGuide, place int) int {
	if old == nil {
		return 0
	}
	old.look(place)
	into := place - old.start
	if !old.known || old.match.length == 0 {
		return 0
	}
	if into < 0 {
		return 1
	}
	valid := 0
	if into <= 3 && old.source > 0 {
		rest := int(old.match.length) - into
		if same := f.content.common(place, place-old.source, rest); same == rest {
			valid = 2
		} else if same >= leastDepth {
			valid = 1
		}
	}
	switch {
	case into > 3:
		return 17
	case into > 1:
		return 14 + valid
	case into == 1:
		return 11 + valid
	case old.match.repeat:
		return 2 + valid
	case old.match.distance > 1<<21:
		return 8 + valid
	}
	return 5 + valid
}

// sought is a place of the segment among those with the same key.
type sought struct {
	after uint64 // the bytes after the first four
	index uint32 // of the place
	least uint32 // how long a match must be to be kept
}

// search finds the latest matches of all places of the segment that are not near.
func (f *far) search() {
	f.at = 0
	f.found = append(f.found[:0], make([][farKept]candidate, len(f.places))...)
	if len(f.places) == 0 {
		return
	}
	f.sortByKey()
	work := farWork * f.content.size
	for place := 1; place+farNearest <= int(f.places[len(f.places)-1]) && work > 0; place++ {
		h := f.key(place)
		if f.filter[h>>(32-farFilter+6)]>>(h>>(32-farFilter)&63)&1 == 0 || f.content.running(place) {
			continue
		}
		after := f.content.word(place + leastDepth)
		same := f.sought[f.heads[h>>(32-farKeys)]:f.heads[h>>(32-farKeys)+1]]
		work -= len(same)
		for i := range same {
			s := &same[i]
			if uint32(bits.TrailingZeros64(after^s.after))>>3+leastDepth >= min(s.least, leastDepth+8) {
				f.meet(s, place)
			}
		}
	}
}

// sortByKey fills the tables by the first four bytes of each place.
func (f *far) sortByKey() {
	clear(f.heads[:])
	clear(f.filter[:])
	for _, p := range f.places {
		f.heads[f.key(int(p))>>(32-farKeys)+1]++
	}
	for i := range f.heads[1:] {
		f.heads[i+1] += f.heads[i]
	}
	f.sought = append(f.sought[:0], make([]sought, len(f.places))...)
	for i, p := range f.places {
		h := f.key(int(p))
		f.filter[h>>(32-farFilter+6)] |= 1 << (h >> (32 - farFilter) & 63)
		f.sought[f.heads[h>>(32-farKeys)]] = f.wish(i)
		f.heads[h>>(32-farKeys)]++
	}
	copy(f.heads[1:], f.heads[:])
	f.heads[0] = 0
}

// wish is what to seek for the place with a number: more than what is remembered, unless the length is said.
func (f *far) wish(i int) sought {
	place := int(f.places[i])
	least := uint32(f.exact[i])
	if least == 0 {
		least = f.near.longest(place, f.start-2*farNearest) + 1
	}
	return sought{f.content.word(place + leastDepth), uint32(i), max(least, leastDepth)}
}

func (f *far) key(place int) uint32 {
	return uint32(f.content.word(place)) * 2654435761
}

// meet compares a place of the segment with one before it. What is kept are the longest ones, each with the latest of its length.
func (f *far) meet(s *sought, place int) {
	here := int(f.places[s.index])
	if distance := here - place; distance < farNearest || distance > f.window {
		return
	}
	same := uint32(f.content.common(here, place, min(farLongest, f.until-here)))
	if same < s.least {
		return
	}
	kept := &f.found[s.index]
	if f.exact[s.index] > 0 {
		kept[0] = candidate{uint32(here - place), same}
		return
	}
	n := 0
	for n < farKept && kept[n].length > same {
		n++
	}
	kept[n] = candidate{uint32(here - place), same}
	for n++; n < farKept; n++ {
		kept[n] = candidate{}
	}
	s.least = max(kept[farKept-1].length, s.least)
}

// suggest gives the far matches at a place.
func (f *far) suggest(found []int, place int) []int {
	for f.at < len(f.places) && int(f.places[f.at]) < place {
		f.at++
	}
	if f.at == len(f.places) || int(f.places[f.at]) != place {
		return found
	}
	for _, c := range f.found[f.at] {
		if c.length > 0 {
			found = append(found, int(c.distance))
		}
	}
	return found
}

// lack finds the matches of a frame that a finder does not know of.
func lack(f *finder, blocks []Block) []need {
	var needs []need
	place, d := 0, Initial
	for _, b := range blocks {
		end := place + b.Size
		for _, q := range b.Sequences {
			place += int(q.Literals)
			n := need{place, q.Match, d.Take(q)}
			if q.Value > 3 && q.Match >= leastDepth && !f.knows(n, end) {
				needs = append(needs, n)
			}
			place += int(q.Match)
		}
		place = end
	}
	sort.Slice(needs, func(i, j int) bool { return needs[i].place < needs[j].place })
	return needs
}

// knows reports whether the finder knows of a match.
func (f *finder) knows(n need, end int) bool {
	for _, c := range f.list(f.at(n.place, end)) {
		if c.distance == n.distance && c.length >= n.match {
			return true
		}
	}
	return false
}
