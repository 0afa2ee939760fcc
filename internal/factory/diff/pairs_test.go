package diff

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/gzframe"
)

// change is one way in which two images can be related: it makes both of them.
type change struct {
	name string
	make func(*source) (old, now []byte)
}

// changes are what happens to files, and what is hard for who looks for equal bytes.
var changes = []change{
	{"identical", func(s *source) (old, now []byte) { old = s.files(); return old, old }},
	{"empty", func(s *source) (old, now []byte) { return s.files(), nil }},
	{"of nothing", func(s *source) (old, now []byte) { return nil, s.files() }},
	{"unrelated", func(s *source) (old, now []byte) { return s.files(), s.files() }},
	{"moved", func(s *source) (old, now []byte) { old = s.files(); return old, s.shuffled(old, 500, 8000) }},
	{"tiny moves", func(s *source) (old, now []byte) {
		old = s.headed(s.noise(s.size()))
		return old, s.shuffled(old, 1, 80)
	}},
	{"grown", func(s *source) (old, now []byte) { old = s.files(); return old, s.grown(old) }},
	{"shrunk", func(s *source) (old, now []byte) { now = s.files(); return s.grown(now), now }},
	{"changed", func(s *source) (old, now []byte) { old = s.files(); return old, s.changed(old, 1+s.IntN(500)) }},
	{"reversed", func(s *source) (old, now []byte) {
		old, now = s.files(), s.head()
		return append(now, old...), append(now, reversed(old)...)
	}},
	{"runs", func(s *source) (old, now []byte) { return s.headed(s.runs()), s.headed(s.runs()) }},
	{"periodic", func(s *source) (old, now []byte) {
		period := s.noise(1 + s.IntN(9))
		return s.headed(s.repeated(period)), s.headed(s.repeated(period))
	}},
	{"few grams", func(s *source) (old, now []byte) { return s.headed(s.grams()), s.headed(s.grams()) }},
	{"equal blocks", func(s *source) (old, now []byte) {
		block := s.noise(100 + s.IntN(1000))
		return s.headed(s.repeated(block)), s.headed(s.repeated(block))
	}},
	{"gzip", func(s *source) (old, now []byte) { return s.both(s.noise(34_000), 20_000, s.gzip) }},
	{"zstd", func(s *source) (old, now []byte) {
		return s.both(append(s.text(24_000), s.noise(14_000)...), 0, s.zstd)
	}},
}

// source makes random images.
type source struct {
	*rand.Rand
	t *testing.T
}

// size is one below and above of what the package treats alike: most are more than a block, and some are next to nothing.
func (s *source) size() int { return s.IntN([]int{10, 5000, 24_000, 40_000}[s.IntN(4)]) }

func (s *source) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.Uint32())
	}
	return b
}

// files are parts of different kinds one after the other.
func (s *source) files() (b []byte) {
	for size := s.size(); len(b) < size; {
		switch s.IntN(5) {
		case 0:
			b = append(b, make([]byte, s.IntN(3000))...)
		case 1:
			b = append(b, s.noise(s.IntN(3000))...)
		default:
			b = append(b, s.text(s.IntN(6000))...)
		}
	}
	return b
}

// text is words, more often the first of them.
func (s *source) text(n int) (b []byte) {
	for len(b) < n {
		word := min(s.IntN(500), s.IntN(500), s.IntN(500))
		for ; word > 0; word /= 7 {
			b = append(b, "etaoins"[word%7])
		}
		b = append(b, ' ')
	}
	return b[:n]
}

// head is what two images have in common that are nothing alike otherwise, so that they are compared at all.
func (s *source) head() []byte {
	head := make([]byte, 128)
	rand.NewChaCha8([32]byte{}).Read(head)
	return head[:len(head):len(head)]
}

func (s *source) headed(b []byte) []byte { return append(s.head(), b...) }

// shuffled has the parts of b in another order.
func (s *source) shuffled(b []byte, least, most int) []byte {
	var parts [][]byte
	for len(b) > 0 {
		n := min(least+s.IntN(most-least), len(b))
		parts, b = append(parts, b[:n]), b[n:]
	}
	s.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return slices.Concat(parts...)
}

// grown has new parts in b.
func (s *source) grown(b []byte) (out []byte) {
	for range 1 + s.IntN(8) {
		n := s.IntN(len(b) + 1)
		out = append(append(out, b[:n]...), s.text(s.IntN(400))...)
		b = b[n:]
	}
	return append(out, b...)
}

// changed has n other bytes, some of them in words that all change alike.
func (s *source) changed(b []byte, n int) []byte {
	b = bytes.Clone(b)
	for range n {
		if i := s.IntN(len(b) + 1); i < len(b) {
			b[i] += byte(1 + s.IntN(3)*100)
		}
	}
	return b
}

func reversed(b []byte) []byte {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return b
}

// runs are long runs of one byte, and single others.
func (s *source) runs() (b []byte) {
	for size := s.size(); len(b) < size; {
		b = append(b, bytes.Repeat([]byte{byte(s.IntN(2))}, s.IntN(4000))...)
	}
	return s.changed(b, s.IntN(20))
}

// repeated is one thing over and over, with few changes.
func (s *source) repeated(what []byte) []byte {
	return s.changed(bytes.Repeat(what, 1+s.size()/len(what)), s.IntN(30))
}

// grams is a string in which any few bytes occur again and again, at all distances: bits of a register that is fed with itself, and
// begins anew at times.
func (s *source) grams() []byte {
	b := make([]byte, s.size())
	register := uint32(1)
	for i := range b {
		b[i] = byte(register & 1)
		register = register>>1 | (register^register>>3)&1<<9
		if s.IntN(3000) == 0 {
			register = 1 + s.Uint32N(1<<10-1)
		}
	}
	return b
}

// both compresses two versions of something, whose first bytes are the same in both.
func (s *source) both(plain []byte, same int, compress func([]byte) []byte) (old, now []byte) {
	plain = append(plain, s.text(s.IntN(9000))...)
	later := slices.Concat(plain[:same], s.shuffled(plain[same:same+4000], 100, 900), s.changed(s.grown(plain[same+4000:]), s.IntN(50)))
	return compress(plain), compress(later)
}

func (s *source) gzip(plain []byte) []byte {
	var b bytes.Buffer
	if err := gzframe.Compress(&b, bytes.NewReader(plain), gzframe.Header{Level: 9}); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

// zstd is a frame in the midst of something.
func (s *source) zstd(plain []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		s.t.Fatal(err)
	}
	return append(z.EncodeAll(plain, s.head()), s.text(s.IntN(100))...)
}

// counting counts what is read.
type counting struct {
	io.ReaderAt
	sizeBytes int64
}

// ReadAt implements io.ReaderAt.
func (c *counting) ReadAt(b []byte, offset int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, offset)
	c.sizeBytes += int64(n)
	return n, err
}

// allocated is how much memory the program has taken so far, whether or not it has given it back.
func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// What a machine may need to apply one operation of a pair, as docs/protocol/delta.md says: the models, twice when there is a Zstandard
// frame, and the tables of that. All that was ever taken counts, whether or not it was needed at once.
const (
	modelsSizeBytes = 11 << 20
	zstdSizeBytes   = modelsSizeBytes + 5<<20
)

// TestPairs makes 500 new images of old ones. Whatever happened to them, the new one comes out bit for bit; the data are not more than
// the image and what the coder needs for bytes that it cannot foresee; of the old image each byte is read once for each time it is
// copied, and a frame at most three times; and the memory is bounded.
func TestPairs(t *testing.T) {
	pairs := 500
	if testing.Short() {
		pairs = 50
	}
	reached := map[delta.FrameKind]int{}
	for seed := range pairs {
		change := changes[seed%len(changes)]
		old, now := change.make(&source{rand.New(rand.NewPCG(uint64(seed), 0)), t})
		p := &applied{old: old, now: now, reached: reached}
		ops, err := Find(t.Context(), image(old), image(now), Options{})
		if err != nil {
			t.Fatalf("%s, seed %d: %v", change.name, seed, err)
		}
		for _, op := range ops {
			if err := p.apply(op); err != nil {
				t.Fatalf("%s, seed %d: %v", change.name, seed, err)
			}
		}
		if err := p.check(); err != nil {
			t.Errorf("%s, seed %d: %v", change.name, seed, err)
		}
	}
	if reached[delta.Gzip] == 0 || reached[delta.Zstd] == 0 {
		t.Errorf("frames of both kinds should be among the pairs: %v", reached)
	}
}

// applied is a pair whose new image is made of the old one, and what that costs.
type applied struct {
	old, now []byte
	reached  map[delta.FrameKind]int

	made                            bytes.Buffer
	dataBytes, readBytes, mostBytes int64 // mostBytes is how much may be read
}

// apply carries out one operation.
func (p *applied) apply(op Op) error {
	data, err := delta.Write(op.Plan, bytes.NewReader(p.old), bytes.NewReader(p.now[op.Offset:]))
	if err != nil {
		return err
	}
	memory := int64(modelsSizeBytes)
	for _, r := range op.Plan.Regions {
		if r.Frame != nil {
			p.reached[r.Frame.Kind]++
			p.mostBytes += 3 * r.Frame.OldSizeBytes
			memory += zstdSizeBytes
		} else {
			p.mostBytes += r.SizeBytes
		}
	}
	p.made.Grow(int(op.Plan.SizeBytes))
	in := &counting{ReaderAt: bytes.NewReader(p.old)}
	before := allocated()
	err = delta.Apply(&p.made, in, int64(len(p.old)), data, op.Plan.SizeBytes)
	if took := allocated() - before; took > memory {
		return fmt.Errorf("applying takes %d bytes of memory, want at most %d", took, memory)
	}
	p.dataBytes += int64(len(data))
	p.readBytes += in.sizeBytes
	return err
}

func (p *applied) check() error {
	most := int64(len(p.now)+len(p.now)/16) + 32
	switch {
	case !bytes.Equal(p.made.Bytes(), p.now):
		return fmt.Errorf("the operations make %d bytes that are not the new image of %d", p.made.Len(), len(p.now))
	case p.dataBytes > most:
		return fmt.Errorf("data have %d bytes for an image of %d", p.dataBytes, len(p.now))
	case p.readBytes > p.mostBytes:
		return fmt.Errorf("%d bytes of the old image were read, want at most %d", p.readBytes, p.mostBytes)
	}
	return nil
}
