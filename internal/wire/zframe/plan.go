package zframe

// planner foresees what libzstd's optimal parser does at its highest levels: it walks the content in series, finds the cheapest way from the
// start of a series to each place in it by the prices so far, and takes the way to the end. Given the same matches and the
// same past it comes to the same sequences. Compare ZSTD_compressBlock_opt_generic.
type planner struct {
	content   *Pages
	found     *ahead
	window    int
	prices    prices
	distances Distances // before the series
	budget    int       // places that may yet be looked at

	ways    [seriesLength + 4]way
	matches []option
	planned []Sequence
}

// way is the cheapest way to a place: a match that ended so many literals before it.
type way struct {
	price     int32
	value     uint32 // of the match
	match     uint32 // its length, 0 at the start of the series
	literals  uint32
	distances Distances
}

// option is a match by the value that names its distance.
type option struct {
	value, length uint32
}

const (
	seriesLength = 1 << 12
	noPrice      = 1 << 30
	lastLiterals = 8 // no match begins in the last bytes of a chunk
)

// plan foresees the sequences of the next series, the literals before which begin at anchor, and says where the series after it begins.
// It is the end of the chunk when there are no more.
func (p *planner) plan(anchor, place, end int) ([]Sequence, int) {
	for place < end-lastLiterals && p.budget > 0 {
		p.budget--
		options := p.options(place, end, p.distances, place == anchor)
		if len(options) == 0 {
			place++
			continue
		}
		last, at := p.series(anchor, place, end, options)
		p.budget -= at
		if last.match == 0 {
			place += at
			continue
		}
		return p.trace(last, at), place + at
	}
	return nil, end
}

// options are the matches at a place with rising lengths: by the recent distances first.
func (p *planner) options(place, end int, d Distances, noLiterals bool) []option {
	all := p.matches[:0]
	a, found := p.found.at(place)
	longest := uint32(minMatch - 1)
	for i := range 3 {
		distance := d.named(i, noLiterals)
		if distance == 0 || int(distance) > min(place, p.window) {
			continue
		}
		if n := uint32(p.content.common(place, place-int(distance), end-place)); n > longest {
			longest = n
			all = append(all, option{uint32(i + 1), n})
			if n > sufficient || place+int(n) == end {
				p.matches = all
				return all
			}
		}
	}
	if a.three > 0 && longest < minMatch {
		if n := uint32(p.content.common(place, place-int(a.three), end-place)); n >= minMatch {
			longest = n
			all = append(all, option{a.three + 3, n})
			if n > sufficient || place+int(n) == end {
				p.matches = all
				return all
			}
		}
	}
	for _, c := range found {
		if c.length > longest {
			longest = c.length
			all = append(all, option{c.distance + 3, longest})
		}
	}
	p.matches = all
	return all
}

// named is the distance with a number from 0, or 0.
func (d Distances) named(i int, noLiterals bool) uint32 {
	if noLiterals {
		i++
	}
	if i == 3 {
		return d[0] - 1
	}
	return d[i]
}

// series finds the cheapest way from a place to all within reach, and returns the last step of the way that is taken, and how far it leads.
func (p *planner) series(anchor, place, end int, options []option) (way, int) {
	literals := uint32(place - anchor)
	p.ways[0] = way{price: p.prices.ofCount(literals), literals: literals, distances: p.distances}
	if o := options[len(options)-1]; o.length > sufficient {
		return way{value: o.value, match: o.length}, int(o.length)
	}
	last := p.open(literals, options)
	for at := 1; at <= last; at++ {
		last = p.literal(place, at, last, end)
		w := &p.ways[at]
		if w.literals == 0 {
			from := &p.ways[at-int(w.match)]
			w.distances = from.distances
			w.distances.Take(Sequence{Literals: from.literals, Value: w.value})
		}
		if place+at > end-lastLiterals {
			continue
		}
		if at == last {
			break
		}
		options := p.options(place+at, end, w.distances, w.literals == 0)
		if len(options) == 0 {
			continue
		}
		if o := options[len(options)-1]; o.length > sufficient || at+int(o.length) >= seriesLength || place+at+int(o.length) >= end {
			return way{value: o.value, match: o.length}, at + int(o.length)
		}
		last = p.extend(at, last, options)
	}
	return p.ways[last], last
}

// open gives prices to the ends of the first matches.
func (p *planner) open(literals uint32, options []option) int {
	at := uint32(1)
	for ; at < minMatch; at++ {
		p.ways[at] = way{price: noPrice, literals: literals + at}
	}
	none := p.prices.ofCount(0)
	for _, o := range options {
		base := p.ways[0].price + p.prices.ofOffset(o.value) + none
		for ; at <= o.length; at++ {
			p.ways[at] = way{price: base + p.prices.ofMatch(at), value: o.value, match: at}
		}
	}
	p.ways[at].price = noPrice
	return int(at) - 1
}

// literal comes to a place by one literal more if that is cheaper.
func (p *planner) literal(place, at, last, end int) int {
	before, w, prices := &p.ways[at-1], &p.ways[at], &p.prices
	n := before.literals + 1
	price := before.price + prices.ofLiteral(p.content.byte(place+at-1)) + prices.ofCount(n) - prices.ofCount(n-1)
	if price > w.price {
		return last
	}
	match := *w
	*w = *before
	w.literals, w.price = n, price
	first := prices.ofCount(1) - prices.ofCount(0)
	if match.literals != 0 || first >= 0 || place+at >= end {
		return last
	}
	// A literal after the match that was given up may yet be the cheapest way to the next place.
	next := prices.ofLiteral(p.content.byte(place + at))
	one := match.price + next + first
	if one >= price+next+prices.ofCount(n+1)-prices.ofCount(n) || one >= p.ways[at+1].price {
		return last
	}
	from := &p.ways[at-int(match.match)]
	match.distances = from.distances
	match.distances.Take(Sequence{Literals: from.literals, Value: match.value})
	match.literals, match.price = 1, one
	p.ways[at+1] = match
	return max(last, at+1)
}

// extend comes to the ends of the matches at a place if that is cheaper.
func (p *planner) extend(at, last int, options []option) int {
	base := p.ways[at].price + p.prices.ofCount(0)
	shortest := uint32(minMatch)
	costs := &p.prices.matches.costs
	for _, o := range options {
		with := base + p.prices.ofOffset(o.value) + p.prices.matches.base
		for to := at + int(o.length); last < to; {
			last++
			p.ways[last].price, p.ways[last].literals = noPrice, 1
		}
		// This loop has most of a planner's work. No option here is longer than is sufficient.
		ways := p.ways[at : at+int(o.length)+1]
		for n := len(ways) - 1; n >= int(shortest); n-- {
			if price := with + costs[smallMatch[n%small]]; price < ways[n].price {
				w := &ways[n]
				w.price, w.value, w.match, w.literals = price, o.value, uint32(n), 0
			}
		}
		shortest = o.length + 1
	}
	p.ways[last+1].price = noPrice
	return last
}

// trace goes back the way that was taken, and turns matches with literals after them into literals with matches after them.
func (p *planner) trace(last way, at int) []Sequence {
	all := append(p.planned[:0], Sequence{Match: last.match, Value: last.value})
	at -= int(last.match + last.literals)
	for {
		w := &p.ways[at]
		all[len(all)-1].Literals = w.literals
		if w.match == 0 {
			break
		}
		all = append(all, Sequence{Match: w.match, Value: w.value})
		at -= int(w.match + w.literals)
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	p.planned = all
	return all
}
