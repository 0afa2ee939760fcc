package delta

import "conifer.dev/conifer/internal/wire/entropy"

// residue codes bytes that resemble old ones.
type residue struct {
	c      *entropy.Coder
	same   []entropy.Prob // by how the last eight bytes were
	byOld  []entropy.Prob // by the old byte
	byLast []entropy.Prob // by the byte before
	recent uint8
}

func newResidue(c *entropy.Coder) *residue {
	return &residue{c: c, same: entropy.Evens(256), byOld: entropy.Evens(256 * 256), byLast: entropy.Evens(256 * 256)}
}

const residueLimit = 255

// code writes or reads now, which resembles old unless it is new.
func (r *residue) code(old, now []byte, isNew bool) {
	last := byte(0)
	for i := range now {
		if !isNew {
			same := r.same[r.recent].Code(r.c, truth(now[i] == old[i]), residueLimit)
			r.recent = r.recent<<1 | uint8(same)
			if same == 1 {
				now[i], last = old[i], old[i]
				continue
			}
			now[i] = byte(entropy.Tree(r.c, r.byOld[int(old[i])<<8:][:256], 8, uint32(now[i]), residueLimit))
		} else {
			now[i] = byte(entropy.Tree(r.c, r.byLast[int(last)<<8:][:256], 8, uint32(now[i]), residueLimit))
		}
		last = now[i]
	}
}
