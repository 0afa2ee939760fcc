package gzframe

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

// gzip is what the program makes of a file with the plain bytes.
func gzip(t testing.TB, plain []byte, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gzip", append(args, "-c", path)...).Output()
	if err != nil {
		t.Fatalf("gzip %v: %v", args, err)
	}
	return out
}

func compress(t testing.TB, plain []byte, h Header) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Compress(&out, bytes.NewReader(plain), h); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func same(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes, want %d; the first different one is at %d", len(got), len(want), at)
}

// noise is a repeatable sequence of numbers.
type noise uint64

func (n *noise) next(below int) int {
	*n = *n*6364136223846793005 + 1442695040888963407
	return int(uint64(*n) >> 33 % uint64(below))
}

// text has words, some often and some seldom, in lines that repeat at all distances.
func text(seed noise, sizeBytes int) []byte {
	var words []string
	for range 2000 {
		word := make([]byte, 1+seed.next(10))
		for i := range word {
			word[i] = "etaoinshrdlucmfw"[min(seed.next(16), seed.next(16))]
		}
		words = append(words, string(word))
	}
	var b bytes.Buffer
	for b.Len() < sizeBytes {
		if seed.next(20) == 0 && b.Len() > 1000 {
			from := seed.next(b.Len() - 300)
			b.Write(bytes.Clone(b.Bytes()[from : from+seed.next(300)]))
		}
		b.WriteString(words[min(seed.next(2000), seed.next(2000))])
		b.WriteString([]string{" ", " ", " ", "\n", ", "}[seed.next(5)])
	}
	return b.Bytes()[:sizeBytes]
}

func random(seed noise, sizeBytes, kinds int) []byte {
	b := make([]byte, sizeBytes)
	for i := range b {
		b[i] = byte(seed.next(kinds))
	}
	return b
}

// contents are plain bytes that reach each part of the encoder.
func contents() map[string][]byte {
	all := map[string][]byte{
		"empty":       {},
		"one":         []byte("x"),
		"two":         []byte("xy"),
		"three":       []byte("xxx"),
		"run":         bytes.Repeat([]byte("x"), 300_000),
		"zeros":       make([]byte, 200_001),
		"period":      bytes.Repeat([]byte("evergreen\n"), 40_000),
		"random":      random(1, 200_000, 256),
		"random text": append(random(2, 100_000, 256), text(3, 200_000)...),
		"text random": append(text(4, 200_000), random(5, 150_000, 256)...),
		"two kinds":   random(6, 20_000, 2),
		"few kinds":   random(7, 70_000, 5),
		"all kinds":   []byte(strings.Repeat(string(random(8, 600, 256)), 200)),
		"deep tree":   fibonacci(),
		"far":         append(append([]byte("abc"), random(9, 5000, 200)...), "abcabcd"...),
	}
	// The ends of the window are where encoders differ.
	for _, size := range []int{261, 262, 263, 4096, 32506, 32767, 32768, 32769, 65274, 65275, 65535, 65536, 65537, 98042, 98304, 131072} {
		all[fmt.Sprint("text of ", size)] = text(noise(size), size)
		all[fmt.Sprint("zeros of ", size)] = make([]byte, size)
	}
	return all
}

// fibonacci has symbols whose counts need codes longer than the format has.
func fibonacci() []byte {
	var b []byte
	for symbol, n, next := byte(0), 1, 1; symbol < 20; symbol, n, next = symbol+1, next, n+next {
		b = append(b, bytes.Repeat([]byte{symbol}, n)...)
	}
	seed := noise(10)
	for i := range b {
		j := i + seed.next(len(b)-i)
		b[i], b[j] = b[j], b[i]
	}
	return b
}

// The vectors of docs/protocol/gzframe.md, for who has no gzip at hand.
func TestVectors(t *testing.T) {
	var plain bytes.Buffer
	for i := range 50_000 {
		fmt.Fprintln(&plain, i*i)
	}
	for level, want := range map[int]string{
		1: "03db3c2a559683bc5cbf28078ab2730dd0915de68f668d8e33234dd50c38aa94",
		6: "1c8fee31ce8020b9d4f83b0e4dbdb0645188f6cf09391be5899248b4ac405e40",
		9: "e89e495a0eb693cd81fedc6b2183f7be0d417d79e7e9c1f22ec39dc79b4229ef",
	} {
		if got := fmt.Sprintf("%x", sha256.Sum256(compress(t, plain.Bytes(), Header{Level: level}))); got != want {
			t.Errorf("level %d: digest is %s, want %s", level, got, want)
		}
	}
}

// Each level makes of each content what the program makes of it. The ends of the window are the same at all lazy levels, so that two
// levels stand for all there.
func TestSameAsGzip(t *testing.T) {
	for name, plain := range contents() {
		levels := []int{1, 2, 3, 4, 5, 6, 7, 8, 9}
		if strings.Contains(name, " of ") {
			levels = []int{1, 9}
		}
		t.Run(name, func(t *testing.T) {
			for _, level := range levels {
				want := gzip(t, plain, fmt.Sprintf("-%dn", level))
				if err := same(compress(t, plain, Header{Level: level}), want); err != nil {
					t.Errorf("level %d: %v", level, err)
				}
			}
		})
	}
}

// The program and the package agree on whatever is put together of random pieces and copies.
func TestSameAsGzipOnRandomPieces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plain := pieces(rt)
		level := rapid.SampledFrom([]int{9, 9, 9, 6, 6, 1, 2, 3, 4, 5, 7, 8}).Draw(rt, "level")
		want := gzip(t, plain, fmt.Sprintf("-%dn", level))
		if err := same(compress(t, plain, Header{Level: level}), want); err != nil {
			rt.Fatalf("level %d: %v", level, err)
		}
	})
}

func pieces(t *rapid.T) []byte {
	var plain []byte
	for range rapid.IntRange(0, 12).Draw(t, "pieces") {
		seed := noise(rapid.Uint64().Draw(t, "seed"))
		size := rapid.SampledFrom([]int{3, 50, 258, 3000, 20_000, 70_000}).Draw(t, "size")
		size = max(1, size-seed.next(size))
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			plain = append(plain, random(seed, size, 1+seed.next(256))...)
		case 1:
			plain = append(plain, text(seed, size)...)
		case 2:
			plain = append(plain, make([]byte, size)...)
		case 3:
			from := seed.next(len(plain) + 1)
			plain = append(plain, plain[from:min(from+size, len(plain))]...)
		}
	}
	return plain
}

// How the plain bytes are cut does not matter.
func TestCuts(t *testing.T) {
	plain := append(text(11, 80_000), random(12, 20_000, 256)...)
	want := compress(t, plain, Header{Level: 9})
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		z, err := NewWriter(&out, Header{Level: 9})
		if err != nil {
			t.Fatal(err)
		}
		for rest := plain; len(rest) > 0; {
			n := min(rapid.IntRange(0, 100_000).Draw(t, "cut"), len(rest))
			if _, err := z.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := same(out.Bytes(), want); err != nil {
			t.Fatal(err)
		}
	})
}

// A file comes back from its plain bytes and what Restorable says of it.
func TestRestorable(t *testing.T) {
	plain := append(bytes.Repeat(random(13, 20, 256), 20), text(13, 200_000)...)
	for level := 1; level <= 9; level++ {
		for _, want := range []Header{{Level: level}, {Level: level, ModTime: 1234567890, Name: "changelog"}} {
			file := compress(t, plain, want)
			got, h, ok := Restorable(file)
			if !ok || h != want || !bytes.Equal(got, plain) {
				t.Errorf("%+v: restorable %v with %+v and %d bytes", want, ok, h, len(got))
			}
		}
	}
}

// The program writes the name and the time where the package reads them.
func TestNameAndTimeOfGzip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "changelog")
	if err := os.WriteFile(path, text(14, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gzip", "-N", path).CombinedOutput(); err != nil {
		t.Fatalf("gzip: %v: %s", err, out)
	}
	info, err := os.Stat(path + ".gz") // gzip keeps the time of the file
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	_, h, ok := Restorable(file)
	if want := (Header{6, uint32(info.ModTime().Unix()), "changelog"}); !ok || h != want {
		t.Errorf("restorable %v with %+v, want %+v", ok, h, want)
	}
}

// What is not one whole member as gzip writes it is refused, with the right kind.
func TestRefused(t *testing.T) {
	file := compress(t, text(15, 1000), Header{Level: 9, Name: "a"})
	with := func(at int, c byte) []byte {
		b := bytes.Clone(file)
		b[at] = c
		return b
	}
	for _, test := range []struct {
		name string
		file []byte
		kind fault.Kind
	}{
		{"empty", nil, fault.Corrupt},
		{"not gzip", with(1, 0), fault.Corrupt},
		{"comment", with(3, 0x18), fault.Unsupported},
		{"speed", with(8, 3), fault.Unsupported},
		{"system", with(9, 255), fault.Unsupported},
		{"no name", with(10, 0), fault.Unsupported},
		{"long name", append(bytes.Clone(file[:10]), bytes.Repeat([]byte("a"), 300)...), fault.Unsupported},
		{"name without end", file[:11], fault.Corrupt},
		{"block of an unknown kind", with(12, 7), fault.Corrupt},
		{"without trailer", file[:len(file)-8], fault.Corrupt},
		{"cut", file[:200], fault.Corrupt},
		{"wrong checksum", with(len(file)-8, ^file[len(file)-8]), fault.Corrupt},
		{"wrong size", with(len(file)-1, 1), fault.Corrupt},
		{"two members", append(bytes.Clone(file), file...), fault.Unsupported},
		{"too much", compress(t, make([]byte, 1001), Header{Level: 9}), fault.Unsupported},
	} {
		r, err := NewReader(bytes.NewReader(test.file), 1000)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil || fault.KindOf(err) != test.kind {
			t.Errorf("%s: %v of kind %v, want %v", test.name, err, fault.KindOf(err), test.kind)
		}
		if test.name == "too much" {
			continue
		}
		if _, _, ok := Restorable(test.file); ok {
			t.Errorf("%s: restorable", test.name)
		}
	}
}

// A file that decompresses but that another encoder made is not restorable.
func TestOtherEncoder(t *testing.T) {
	const stored = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x01\x02\x00\xfd\xffhi\xac\x2a\x93\xd8\x02\x00\x00\x00"
	r, err := NewReader(strings.NewReader(stored), 100)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(r); err != nil || string(plain) != "hi" {
		t.Fatalf("plain bytes are %q, %v", plain, err)
	}
	if _, _, ok := Restorable([]byte(stored)); ok {
		t.Error("gzip does not store two letters, but they are restorable")
	}
}

func TestHeadersThatGzipDoesNotWrite(t *testing.T) {
	for _, h := range []Header{{}, {Level: 10}, {Level: -1}, {Level: 9, Name: "a\x00"}, {Level: 9, Name: strings.Repeat("a", 256)}} {
		if err := Compress(io.Discard, strings.NewReader(""), h); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", h, err)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Errors of both ends are given back.
func TestErrorsOfBothEnds(t *testing.T) {
	if err := Compress(brokenWriter{}, strings.NewReader("x"), Header{Level: 9}); err != io.ErrClosedPipe {
		t.Errorf("writer: %v", err)
	}
	if err := Compress(io.Discard, iotest.ErrReader(io.ErrNoProgress), Header{Level: 9}); err != io.ErrNoProgress {
		t.Errorf("reader: %v", err)
	}
	r, err := NewReader(io.MultiReader(bytes.NewReader(compress(t, text(16, 1000), Header{Level: 9})[:300]), iotest.ErrReader(io.ErrNoProgress)), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != io.ErrNoProgress {
		t.Errorf("file: %v", err)
	}
	z, err := NewWriter(io.Discard, Header{Level: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte("x")); fault.KindOf(err) != fault.Conflict {
		t.Errorf("closed: %v", err)
	}
}

// Whatever the file is, taking it apart ends, and what is called restorable is.
func FuzzRestorable(f *testing.F) {
	for _, plain := range []string{"", "hi", strings.Repeat("evergreen ", 50), string(text(17, 400))} {
		for _, h := range []Header{{Level: 9}, {Level: 6, Name: "changelog", ModTime: 1}, {Level: 1}} {
			f.Add(compress(f, []byte(plain), h))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		plain, h, ok := Restorable(file)
		if !ok {
			return
		}
		if err := same(compress(t, plain, h), file); err != nil {
			t.Error(err)
		}
	})
}

// What is compressed reads as what it was, and is restorable, at every level.
func FuzzCompress(f *testing.F) {
	f.Add([]byte("evergreen evergreen"), 9, "conifer.1", uint32(0))
	f.Fuzz(func(t *testing.T, plain []byte, level int, name string, modTime uint32) {
		h := Header{Level: level, Name: name, ModTime: modTime}
		var file bytes.Buffer
		if err := Compress(&file, bytes.NewReader(plain), h); err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Error(err)
			}
			return
		}
		got, found, ok := Restorable(file.Bytes())
		found.Level = level // levels 2 to 8 may make the same file
		if !ok || found != h || !bytes.Equal(got, plain) {
			t.Errorf("restorable %v with %+v, want %+v", ok, found, h)
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	plain := text(18, 2<<20)
	for _, level := range []int{9, 6} {
		b.Run(fmt.Sprint(level), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if err := Compress(io.Discard, bytes.NewReader(plain), Header{Level: level}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
