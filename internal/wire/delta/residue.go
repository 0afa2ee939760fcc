package delta

import (
	"bytes"
	"encoding/binary"

	"conifer.dev/conifer/internal/wire/entropy"
)

// residue codes bytes that resemble old ones. It goes from block to block, most of which stay as they are, and in one that does not from
// token to token: a word of four bytes for which there are several candidates, or a run of bytes that are as the old ones. Where the tokens
// lie follows from the old bytes, and from which blocks stay.
type residue struct {
	c      *entropy.Coder
	ready  bool
	words  wordModel
	blocks blockModel
	runs   runModel
	bytes  byteModel
}

// prepare takes the memory of the models, which many deltas do not need.
func (r *residue) prepare() {
	if r.ready {
		return
	}
	r.ready = true
	r.words.init()
	r.blocks.init()
	r.runs.init()
	r.bytes.init()
}

// copied codes the bytes of a copy: old is what is copied, now what comes of it, both with what surrounds them.
func (r *residue) copied(s *scene, old, now []byte, oldAt, nowAt int64) {
	r.prepare()
	r.words.begin()
	for i, end := 0, 0; i < len(now); {
		n := len(now) - i
		if i >= end {
			end = i + blockSizeBytes
			if n >= blockSizeBytes && r.block(s, old[i:end], now[i:end], oldAt+int64(i)) {
				i = end
				continue
			}
		}
		if field := s.field(old, i, oldAt); field == i && n >= 4 {
			r.word(s, old, now, i, oldAt, nowAt)
			i += 4
		} else {
			n = min(n, 8, max(field-i, 1))
			r.run(old, now, i, n)
			i += n
		}
	}
}

// block codes whether a block stays as it is, and if it does, its bytes.
func (r *residue) block(s *scene, old, now []byte, oldAt int64) bool {
	if r.blocks.same(r.c, old, truth(s.codeAt(oldAt) != nil), truth(bytes.Equal(old, now))) == 0 {
		return false
	}
	copy(now, old)
	r.words.passed(old)
	r.bytes.saw(old[len(old)-8:]...)
	return true
}

// fresh codes bytes that nothing old is like.
func (r *residue) fresh(now []byte) {
	r.prepare()
	for i := range now {
		now[i] = r.bytes.code(r.c, now[i], 0, 0)
	}
}

// word codes the four bytes at i.
func (r *residue) word(s *scene, old, now []byte, i int, oldAt, nowAt int64) {
	m := &r.words
	v := binary.LittleEndian.Uint32(old[i:])
	actual := binary.LittleEndian.Uint32(now[i:])
	if !s.inCode && m.sure() && m.stays(r.c, v, actual == v) {
		copy(now[i:i+4], old[i:])
		r.bytes.saw(now[i : i+4]...)
		return
	}
	m.guess(s, v, oldAt+int64(i), nowAt+int64(i))
	got, ok := m.choose(r.c, actual)
	if !ok {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], actual)
		var top [4]byte
		binary.LittleEndian.PutUint32(top[:], m.top)
		whole := byte(1)
		for k := 3; k >= 0; k-- {
			b[k] = r.bytes.near(r.c, b[k], top[k], uint8(k), &whole)
		}
		got = binary.LittleEndian.Uint32(b[:])
	}
	binary.LittleEndian.PutUint32(now[i:], got)
	m.learn(s, v, got, oldAt+int64(i), nowAt+int64(i))
	r.bytes.saw(now[i : i+4]...)
}

// run codes n bytes at i that are likely as the old ones.
func (r *residue) run(old, now []byte, i, n int) {
	m := &r.runs
	same := 1
	for k := i; k < i+n; k++ {
		if old[k] != now[k] {
			same = 0
		}
	}
	if m.all(r.c, old, i, n, same) == 1 {
		copy(now[i:i+n], old[i:i+n])
		r.bytes.saw(now[i : i+n]...)
		return
	}
	for k := i; k < i+n; k++ {
		if m.one(r.c, old, k, truth(now[k] == old[k])) == 1 {
			now[k] = old[k]
			r.bytes.saw(now[k])
		} else {
			before := byte(0)
			if k > 0 {
				before = now[k-1]
			}
			now[k] = r.bytes.changed(r.c, now[k], old[k], before)
		}
	}
}
