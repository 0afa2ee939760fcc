package install_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// deltaSite is a machine that is to get 1.2.0 by a delta.
type deltaSite struct {
	*site
	delta *bootsim.Delta
}

func newDeltaSite(t *testing.T) *deltaSite {
	t.Helper()
	return (&deltaSite{site: newSite(t)}).offer(releases.Delta("1.1.0", "1.2.0"))
}

// offer puts a copy of a delta in the place of the right one.
func (s *deltaSite) offer(d *bootsim.Delta) *deltaSite {
	description := *d.Delta
	s.delta = &bootsim.Delta{Delta: &description, Bytes: bytes.Clone(d.Bytes)}
	return s
}

func (s *deltaSite) run(src install.Source) error {
	return s.in.RunDelta(context.Background(), s.rel.Release, s.delta.Delta, src)
}

// checkFull demands that the full payload still installs the release.
func (s *deltaSite) checkFull() {
	s.t.Helper()
	if err := s.in.Run(context.Background(), releases.Of("1.2.0").Release, releases.Of("1.2.0")); err != nil {
		s.t.Errorf("the full payload after it: %v", err)
	}
	s.checkEnabled()
}

// reseal changes the manifest and the data, and signs them again.
func (s *deltaSite) reseal(change func(m *payload.Manifest, data []byte) []byte) {
	s.t.Helper()
	end := s.delta.Payload.ManifestSizeBytes
	m, err := payload.Parse(s.delta.Bytes[:end])
	if err != nil {
		s.t.Fatal(err)
	}
	data := change(m, s.delta.Bytes[end:])
	if err := s.delta.Seal(m, data[:m.DataSizeBytes()]); err != nil {
		s.t.Fatal(err)
	}
}

func TestADeltaWritesTheSameSlot(t *testing.T) {
	s := newDeltaSite(t)
	var seen []int64
	s.in.Progress = func(done, of int64) { seen = append(seen, done, of) }
	src := &line{payload: s.delta.Bytes}
	if err := s.run(src); err != nil {
		t.Fatal(err)
	}
	if want := int64(len(s.rel.Root) + len(s.rel.UKI)); slices.Max(seen) != want || seen[len(seen)-2] != want {
		t.Errorf("progress %v, want up to %d", seen, want)
	}
	if diff := cmp.Diff([]int64{0}, src.offsets); diff != "" || src.fetched != int64(len(s.delta.Bytes)) {
		t.Errorf("%d bytes fetched of %d: %s", src.fetched, len(s.delta.Bytes), diff)
	}
	s.checkEnabled()
}

func TestACutLineCostsADeltaNothing(t *testing.T) {
	s := newDeltaSite(t)
	s.in.Retry = func(context.Context, int) error { return nil }
	src := &line{payload: s.delta.Bytes, cutAfter: 999}
	if err := s.run(src); err != nil {
		t.Fatal(err)
	}
	if src.fetched != int64(len(s.delta.Bytes)) || len(src.offsets) < 10 {
		t.Errorf("%d bytes fetched of %d, from %v", src.fetched, len(s.delta.Bytes), src.offsets)
	}
	s.checkEnabled()
}

// drained says when all of a payload was fetched.
type drained struct {
	*line
	all chan struct{}
}

func (d *drained) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	body, err := d.line.Open(ctx, offset)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, readerFunc(func([]byte) (int, error) {
		close(d.all)
		return 0, io.EOF
	})), body}, err
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// While an operation is applied the data of the next ones is fetched: a thin line and a slow machine are not waited for one after the other.
func TestTheLineIsInUseWhileADeltaIsApplied(t *testing.T) {
	s := newDeltaSite(t)
	src := &drained{&line{payload: s.delta.Bytes}, make(chan struct{})}
	s.in.Progress = func(int64, int64) {
		select {
		case <-src.all:
		case <-time.After(time.Minute):
			t.Error("nothing more is fetched before the first operation is written")
		}
	}
	if err := s.run(src); err != nil {
		t.Fatal(err)
	}
	s.checkEnabled()
}

// A call that ended in the middle of an operation is repeated from the beginning of that one.
func TestADeltaResumesAtItsOperation(t *testing.T) {
	s := newDeltaSite(t)
	end := s.delta.Payload.ManifestSizeBytes
	m, err := payload.Parse(s.delta.Bytes[:end])
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range m.Targets[0].Ops[1:] {
		at := end + op.DataOffset
		s := newDeltaSite(t)
		first := &line{payload: s.delta.Bytes, cutAfter: int(at + op.DataSizeBytes/2)}
		if err := s.run(first); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("got %v", err)
		}
		s.checkUntouched()
		next := &line{payload: s.delta.Bytes}
		if err := s.run(next); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{0, at}, next.offsets); diff != "" {
			t.Errorf("%s at %d: the second call read from: %s", op.Kind, op.Offset, diff)
		}
		s.checkEnabled()
	}
}

// flipped is a partition of which one bit reads wrong, or one sector not at all.
type flipped struct {
	slots.Device
	at  int64
	err error
}

func (f flipped) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.Device.ReadAt(p, offset)
	if f.at < offset || f.at >= offset+int64(n) {
		return n, err
	}
	p[f.at-offset] ^= 4
	return n, errors.Join(err, f.err)
}

// flippedFile is a folder of which one file reads wrong.
type flippedFile struct{ folder.Folder }

func (f flippedFile) Open(name string) (folder.Content, error) {
	file, err := f.Folder.Open(name)
	if err != nil || name != "conifer_1.1.0.efi" {
		return file, err
	}
	return flippedContent{file}, nil
}

type flippedContent struct{ folder.Content }

func (f flippedContent) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.Content.ReadAt(p, offset)
	if offset <= 300 && offset+int64(n) > 300 {
		p[300-offset] ^= 1
	}
	return n, err
}

// spoil has the agent read the running release as it is not.
func (s *deltaSite) spoil(number int, at int64, broken error, esp folder.Folder) {
	s.t.Helper()
	part := func(n, flag int) (slots.Device, error) {
		d, err := s.OpenPartition(n, flag)
		if n == number && err == nil {
			d = flipped{d, at, broken}
		}
		return d, err
	}
	opened, err := slots.Open(s.Disk, part, esp, s.RootHash())
	if err != nil {
		s.t.Fatal(err)
	}
	s.in.Slots = opened
}

func TestAFlippedBitOfTheRunningReleaseIsNoticedBeforeItCounts(t *testing.T) {
	const zeros = 7 * 4 * 4096 // a group that the delta copies exactly
	cases := map[string]func(s *deltaSite){
		"in the first byte":           func(s *deltaSite) { s.spoil(4, 0, nil, s.ESP) },
		"in text":                     func(s *deltaSite) { s.spoil(4, 5*4096, nil, s.ESP) },
		"in what is copied":           func(s *deltaSite) { s.spoil(4, zeros+1234, nil, s.ESP) },
		"in the size":                 func(s *deltaSite) { s.spoil(5, 72, nil, s.ESP) },
		"in the UKI":                  func(s *deltaSite) { s.spoil(0, 0, nil, flippedFile{s.ESP}) },
		"a sector that does not read": func(s *deltaSite) { s.spoil(4, 9, syscall.EIO, s.ESP) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			s := newDeltaSite(t)
			change(s)
			err := s.run(s.delta)
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("got %v", err)
			}
			s.checkUntouched()
			s.checkFull()
		})
	}
}

func TestAWrongDeltaEnablesNothing(t *testing.T) {
	cases := []struct {
		name    string
		change  func(s *deltaSite)
		kind    fault.Kind
		message string
	}{
		{"cut short", func(s *deltaSite) { s.delta.Bytes = s.delta.Bytes[:len(s.delta.Bytes)-5] }, fault.Corrupt, "payload ends"},
		{"empty", func(s *deltaSite) { s.delta.Bytes = nil }, fault.Corrupt, "payload ends at byte 0"},
		{"goes on", func(s *deltaSite) { s.delta.Bytes = append(s.delta.Bytes, 'x') }, fault.Corrupt, "payload goes on after byte"},
		{"other data", func(s *deltaSite) { s.delta.Bytes[len(s.delta.Bytes)-1] ^= 1 }, fault.Corrupt, "has data with digest"},
		{"other manifest", func(s *deltaSite) { s.delta.Bytes[20] ^= 1 }, fault.Corrupt, "manifest digest"},
		{"of another version", func(s *deltaSite) { s.offer(releases.Delta("1.1.0", "1.3.0")) }, fault.Untrusted, "1.3.0"},
		{"the full payload", func(s *deltaSite) {
			s.delta.Bytes, s.delta.Delta.Payload = bytes.Clone(s.rel.Payload), s.rel.Release.Payload
		}, fault.Untrusted, `made from ""`},
		{"from another version", func(s *deltaSite) { s.offer(releases.Delta("1.0.0", "1.2.0")) }, fault.Unsupported, "from 1.0.0, and 1.1.0 runs"},
		{"from another version that is told wrong", func(s *deltaSite) {
			s.offer(releases.Delta("1.0.0", "1.2.0"))
			s.delta.From = "1.1.0"
		}, fault.Untrusted, `made from "1.0.0"`},
		{"from another version that lies", func(s *deltaSite) {
			s.offer(releases.Delta("1.0.0", "1.2.0"))
			s.delta.From = "1.1.0"
			s.reseal(func(m *payload.Manifest, data []byte) []byte { m.From = "1.1.0"; return data })
		}, fault.Corrupt, "target root: operation at offset"},
		{"from a root of another size", func(s *deltaSite) { s.offer(fromSmaller(s.t)) }, fault.Corrupt, "delta is for"},
		{"of another root", func(s *deltaSite) { s.rel.Release.Root.Hash = strings.Repeat("5a", 32) }, fault.Corrupt, "has the root hash"},
		{"of another UKI", func(s *deltaSite) { s.rel.Release.Artifacts = []release.Artifact{wrongUKI(s.rel)} }, fault.Corrupt, "UKI has digest"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newDeltaSite(t)
			s.in.Retry = func(context.Context, int) error { return nil }
			c.change(s)
			err := s.run(&line{payload: s.delta.Bytes})
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
			s.checkUntouched()
			s.checkFull()
		})
	}
}

// fromSmaller is a delta from a 1.1.0 that is not the one that runs.
func fromSmaller(t *testing.T) *bootsim.Delta {
	t.Helper()
	d, err := bootsim.NewDelta(made(t, "1.1.0", rootBlocks/2, ukiBytes), releases.Of("1.2.0"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func wrongUKI(r *bootsim.Release) release.Artifact {
	a := r.Release.Artifacts[0]
	a.SHA256 = strings.Repeat("5a", 32)
	return a
}

// What is signed can still be wrong: the data of each operation of kind delta is changed and signed again, with the
// digest of what it should write.
func TestNoDataOfADeltaEnablesAnythingElse(t *testing.T) {
	refused := 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := newDeltaSite(t)
		s.reseal(func(m *payload.Manifest, data []byte) []byte { return mutate(rng, m, data) })
		switch err := s.run(s.delta); {
		case err == nil:
			s.checkEnabled() // the last bits of a code can be without meaning
		case fault.Is(err, fault.Corrupt):
			refused++
			s.checkUntouched()
			s.checkFull()
		default:
			t.Errorf("seed %d: got %v", seed, err)
		}
	}
	if refused < 100 {
		t.Errorf("%d of 150 changes were noticed", refused)
	}
}

// mutate changes a byte of the data of one operation of kind delta, or ends it early.
func mutate(rng *rand.Rand, m *payload.Manifest, data []byte) []byte {
	var ops []*payload.Op
	for _, t := range m.Targets {
		for i := range t.Ops {
			if t.Ops[i].Kind == payload.KindDelta {
				ops = append(ops, &t.Ops[i])
			}
		}
	}
	op := ops[rng.IntN(len(ops))]
	at, n := op.DataOffset, op.DataSizeBytes
	own := bytes.Clone(data[at : at+n])
	if rng.IntN(4) == 0 {
		own = own[:1+rng.IntN(len(own)-1)]
	} else {
		own[rng.IntN(len(own))] ^= byte(1 + rng.IntN(255))
	}
	op.DataSizeBytes, op.DataSHA256 = int64(len(own)), sum(own)
	return slices.Concat(data[:at], own, data[at+n:])
}

func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}

func TestADeltaThatCannotApplyIsRefusedBeforeAnyWrite(t *testing.T) {
	s := newDeltaSite(t)
	s.delta.From = "1.0.0"
	before, files := s.Power.Writes(), s.ESP.Describe()
	if err := s.run(s.delta); !fault.Is(err, fault.Unsupported) {
		t.Errorf("got %v", err)
	}
	if s.Power.Writes() != before || s.ESP.Describe() != files {
		t.Errorf("%d writes, files %s, before %s", s.Power.Writes()-before, s.ESP.Describe(), files)
	}
}

func TestACanceledDeltaEnds(t *testing.T) {
	s := newDeltaSite(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.in.Progress = func(int64, int64) { cancel(fmt.Errorf("stop")) }
	if err := s.in.RunDelta(ctx, s.rel.Release, s.delta.Delta, s.delta); !fault.Is(err, fault.Canceled) {
		t.Errorf("got %v", err)
	}
	s.checkUntouched()
}
