package zframe

import (
	"io"
	"sort"
)

// Align says which bytes of the old content and of the new one belong together.
type Align interface {
	// ToOld is the place in the old content of one in the new, and for how many bytes the two go on side by side: none if it has no place.
	ToOld(place int64) (int64, int64)
	// ToNew is the reverse of it.
	ToNew(place int64) (int64, int64)
}

// Old is an older frame.
type Old struct {
	Frame             io.ReaderAt
	SizeBytes         int64
	ContentLimitBytes int64
	Align             Align
}

// oldParse gives the sequences of an old frame, at any place of its content.
type oldParse struct {
	from   *Old
	reader *Reader
	blocks []oldBlock
	end    int64   // of the content
	hand   oldSlot // the block that is at hand
}

// oldBlock is what a reader must know to read a block out of order.
type oldBlock struct {
	offset    int64 // in the frame
	start     int64 // in the content
	distances Distances
	modes     [3]Mode
	tables    [3][]byte
	before    [3]int32 // the blocks whose tables are valid before this one, or -1
}

// oldSlot is a block that was read.
type oldSlot struct {
	start, end int64
	matches    []oldMatch
	at         int // the match that was asked for last
}

// oldMatch is a match by where it starts in the old content.
type oldMatch struct {
	start, length, distance uint32
}

// openOld reads an old frame once, and remembers where its blocks are.
func openOld(from *Old) (*oldParse, error) {
	r, err := NewReader(io.NewSectionReader(from.Frame, 0, from.SizeBytes), from.ContentLimitBytes)
	if err != nil {
		return nil, err
	}
	r.sequencesOnly = true
	o := &oldParse{from: from, reader: r}
	start, distances, before := int64(0), Initial, [3]int32{-1, -1, -1}
	for {
		entry := oldBlock{offset: r.offset, start: start, distances: distances, before: before}
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		for _, s := range b.Sequences {
			distances.Take(s)
		}
		if len(b.Sequences) > 0 {
			entry.modes = b.Modes
			for c, mode := range b.Modes {
				entry.tables[c] = append([]byte(nil), b.Tables[c]...)
				if mode != Repeated {
					before[c] = int32(len(o.blocks))
				}
			}
		}
		o.blocks = append(o.blocks, entry)
		start += int64(b.Size)
	}
	o.end = start
	return o, nil
}

// around is the first match that ends after a place, or an empty one at the end of the block when there is none in it.
func (o *oldParse) around(place, length int64) (oldMatch, error) {
	s := &o.hand
	if place < s.start || place >= s.end {
		if length < worthLoading || place >= o.end {
			return oldMatch{start: uint32(place) + 1}, nil
		}
		if err := o.load(place); err != nil {
			return oldMatch{}, err
		}
	}
	ends := func(i int) bool { return int64(s.matches[i].start+s.matches[i].length) > place }
	if s.at >= len(s.matches) || !ends(s.at) || s.at > 0 && ends(s.at-1) {
		if s.at+1 < len(s.matches) && ends(s.at+1) && !ends(s.at) {
			s.at++
		} else {
			s.at = sort.Search(len(s.matches), ends)
		}
	}
	if s.at < len(s.matches) {
		return s.matches[s.at], nil
	}
	return oldMatch{start: uint32(s.end)}, nil
}

// worthLoading is for how many bytes of content a block must be good to be read for them. So the work of reading blocks again does not
// grow with how often two contents change places.
const worthLoading = 1 << 10

// load reads the last block that begins at or before a place.
func (o *oldParse) load(place int64) error {
	s := &o.hand
	entry := &o.blocks[sort.Search(len(o.blocks), func(i int) bool { return o.blocks[i].start > place })-1]
	r := o.reader
	for c, b := range entry.before {
		if r.tables.valid[c] = nil; b < 0 {
			continue
		}
		if _, err := r.tables.take(c, o.blocks[b].modes[c], o.blocks[b].tables[c]); err != nil {
			return err
		}
	}
	r.in = io.NewSectionReader(o.from.Frame, entry.offset, o.from.SizeBytes-entry.offset)
	r.limit, r.done = o.from.ContentLimitBytes, false
	b, err := r.Next()
	if err != nil {
		return err
	}
	s.start, s.end, s.at, s.matches = entry.start, entry.start+int64(b.Size), 0, s.matches[:0]
	at, distances := uint32(entry.start), entry.distances
	for _, q := range b.Sequences {
		at += q.Literals
		s.matches = append(s.matches, oldMatch{at, q.Match, distances.Take(q)})
		at += q.Match
	}
	return nil
}

// oldGuide says what the old frame has at a place of the new content. An answer holds for some places after it.
type oldGuide struct {
	parse       *oldParse
	from, until int // what the last answer holds for
	known       bool
	end         int // how far the two contents go on side by side
	start       int // where the match at the place, or the next one, begins in the new content
	match       oldMatch
	source      int // the distance that the match would have in the new content, or 0
	err         error
}

// look makes the answer that of a place.
func (g *oldGuide) look(place int) {
	if place >= g.from && place < g.until {
		return
	}
	g.from, g.until, g.known, g.source = place, place+1, false, 0
	old, length := g.parse.from.Align.ToOld(int64(place))
	if length <= 0 || old < 0 {
		return
	}
	m, err := g.parse.around(old, length)
	if err != nil {
		g.err = err
		return
	}
	g.known, g.match, g.end = true, m, place+int(length)
	ahead := int64(m.start) - old
	g.start = place + int(ahead)
	if ahead > 0 {
		g.until = place + int(min(length, ahead))
		return
	}
	source, same := g.parse.from.Align.ToNew(old - int64(m.distance))
	if same <= 0 || source >= int64(place) || source < 0 {
		return
	}
	g.source = place - int(source)
	g.until = place + int(min(length, same, ahead+int64(m.length)))
}

// suggest is the distance of the match that covers the place in the old frame, or 0.
func (g *oldGuide) suggest(place int) int {
	g.look(place)
	return g.source
}
