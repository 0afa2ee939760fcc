package delta

import "encoding/binary"

// Normal rewrites both files so that what refers to the same thing looks the same, wherever it stands and wherever the thing has gone by
// the region's pieces: who looks for pieces in what it returns finds tables whose every entry has changed. Both have the size they had.
func Normal(r *Region, old, now []byte) (oldNormal, nowNormal []byte) {
	s := newScene(r, 0)
	s.oldAt = 0
	back := &scene{old: s.new, new: s.new, code: r.NewCode, lowest: s.lowest, highest: s.highest}
	for _, sp := range s.new {
		if sp.Address < fixed {
			continue
		}
		back.lowest, back.highest = min(back.lowest, sp.Address), max(back.highest, sp.Address+uint32(sp.SizeBytes))
	}
	same := func(a uint32) (uint32, bool) { return a, a >= back.lowest && a < back.highest }
	return s.normal(old, s.move), back.normal(now, same)
}

// normal replaces what tells a place by that place as it is in the new file.
func (s *scene) normal(b []byte, move func(uint32) (uint32, bool)) []byte {
	out := append([]byte{}, b...)
	for i := 0; i < len(b); {
		k := s.field(b, i, 0)
		if k != i || k+4 > len(b) {
			i = max(k, i+1)
			continue
		}
		v := binary.LittleEndian.Uint32(b[i:])
		here := s.oldAddress(int64(i))
		switch d := int32(v); {
		case !s.inCode && s.ascends(b, i, v):
			if t, ok := move(s.lowest + v); ok {
				binary.LittleEndian.PutUint32(out[i:], t)
			}
		case s.inCode && !s.wide, !s.inCode && (d >= 4096 || d <= -4096) && d < 1<<27 && d > -1<<27 && here+v >= s.lowest && here+v < s.highest:
			if t, ok := move(here + v); ok {
				binary.LittleEndian.PutUint32(out[i:], t)
			}
		case v >= s.lowest && v < s.highest:
			if t, ok := move(v); ok {
				binary.LittleEndian.PutUint32(out[i:], t)
			}
		}
		i += 4
	}
	return out
}

// ascends reports whether the words around i are distances from the lowest address, in ascending order.
func (s *scene) ascends(b []byte, i int, v uint32) bool {
	if i < 4 || i+8 > len(b) || v < 4096 || v >= s.highest-s.lowest {
		return false
	}
	before, after := binary.LittleEndian.Uint32(b[i-4:]), binary.LittleEndian.Uint32(b[i+4:])
	return v-before < 1<<16 && after-v < 1<<16
}
