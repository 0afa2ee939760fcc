package faultdisk

import (
	"bytes"
	"maps"
	"slices"
)

// settle decides which names and which content survive.
func (f *Folder) settle() {
	for i, c := range f.pending {
		if f.journaled {
			if f.power.keeps(i, len(f.pending), 0, 1) {
				f.apply(c)
			}
			continue
		}
		f.settleFAT(c, i)
	}
	f.pending = nil
	f.reload()
}

func (f *Folder) apply(c change) {
	for _, part := range c {
		part.apply(f.durable)
	}
}

// settleFAT keeps or loses each part of a change, and empties what FAT's allocation table no longer holds.
func (f *Folder) settleFAT(c change, i int) {
	var kept []bool
	for j, part := range c {
		keep := f.power.keeps(i, len(f.pending), j, len(c))
		kept = append(kept, keep)
		if keep {
			part.apply(f.durable)
		} else if part.old != nil && f.durable[part.name] == part.old && f.power.coin() {
			f.durable[part.name] = &node{} // the clusters were freed, the name was not
		}
	}
	if len(c) == 2 && kept[0] && !kept[1] && f.durable[c[1].name] == c[0].node {
		f.settleBothNames(c[0].name, c[1].name)
	}
}

// settleBothNames is a check of the file system that finds two names with the same clusters: it empties one.
// When the rename copied the file, as firmware may, there are two whole files.
func (f *Folder) settleBothNames(to, from string) {
	switch f.power.rng.IntN(3) {
	case 0:
		f.durable[to] = &node{}
	case 1:
		f.durable[from] = &node{}
	}
}

// reload forgets the cache: every name has a file of its own with what is durable.
func (f *Folder) reload() {
	fresh := map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(f.durable)) {
		n := f.durable[name]
		if n.dirty {
			n.durable, n.dirty = f.tearContent(n), false
		}
		fresh[name] = &node{current: bytes.Clone(n.durable), durable: bytes.Clone(n.durable)}
	}
	f.durable = fresh
	f.names = maps.Clone(fresh)
}

// tearContent is what is left of content that was not synced: nothing, all of it, or a length with holes of garbage.
func (f *Folder) tearContent(n *node) []byte {
	switch f.power.loss {
	case LoseAll:
		return nil
	case KeepAll, KeepLast:
		return n.current
	}
	length := f.power.rng.IntN(len(n.current) + 1)
	torn := bytes.Clone(n.current[:length])
	for at := 0; at < length; at += sectorSize {
		if f.power.coin() {
			for i := at; i < min(at+sectorSize, length); i++ {
				torn[i] = 0xaa
			}
		}
	}
	return torn
}
