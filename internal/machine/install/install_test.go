package install_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/machine/slots"
	"conifer.dev/conifer/internal/machine/verity"
	"conifer.dev/conifer/internal/wire/payload"
)

// line is a source that is cut: every connection ends with an error after some bytes.
type line struct {
	payload  []byte
	cutAfter int   // bytes of each connection; 0 is endless
	err      error // what a cut looks like, io.ErrUnexpectedEOF when nil
	offsets  []int64
	fetched  int64
}

func (l *line) Open(_ context.Context, offset int64) (io.ReadCloser, error) {
	l.offsets = append(l.offsets, offset)
	rest := l.payload[min(offset, int64(len(l.payload))):]
	cut := l.err
	if cut == nil {
		cut = io.ErrUnexpectedEOF
	}
	if l.cutAfter == 0 || l.cutAfter >= len(rest) {
		return io.NopCloser(&counter{bytes.NewReader(rest), &l.fetched}), nil
	}
	broken := io.MultiReader(bytes.NewReader(rest[:l.cutAfter]), errorReader{cut})
	return io.NopCloser(&counter{broken, &l.fetched}), nil
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

type counter struct {
	io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// site is a booted machine that runs 1.1.0 and is to get 1.2.0.
type site struct {
	*bootsim.Machine
	t   *testing.T
	rel *bootsim.Release
	in  *install.Installer
}

func newSite(t *testing.T) *site {
	t.Helper()
	w := newWorld(t, scenarios[0], 1)
	if err := w.Boot(); err != nil {
		t.Fatal(err)
	}
	s, err := w.Slots()
	if err != nil {
		t.Fatal(err)
	}
	rel := *releases.Of("1.2.0")
	description := *rel.Release
	rel.Release = &description
	return &site{w.Machine, t, &rel, &install.Installer{Slots: s, State: w.Var, SyncBytes: 16 << 10}}
}

func (s *site) run(src install.Source) error {
	return s.in.Run(context.Background(), s.rel.Release, src)
}

// checkEnabled demands that the next boot is a whole 1.2.0.
func (s *site) checkEnabled() {
	s.t.Helper()
	if err := s.Boot(); err != nil || s.Version != "1.2.0" {
		s.t.Errorf("after the installation %s boots: %v", s.Version, err)
	}
}

// checkUntouched demands that the next boot is 1.1.0 with no other entry there.
func (s *site) checkUntouched() {
	s.t.Helper()
	if err := s.Boot(); err != nil || s.Version != "1.1.0" {
		s.t.Errorf("after a failed installation %s boots: %v", s.Version, err)
	}
	if files := s.ESP.Describe(); strings.Contains(files, "1.2.0") {
		s.t.Errorf("after a failed installation: %s", files)
	}
}

func TestRunWritesRootTreeAndUKI(t *testing.T) {
	for _, workers := range []int{0, 1, 4} {
		s := newSite(t)
		s.in.Workers = workers
		var seen []int64
		var total int64
		s.in.Progress = func(done, of int64) { seen, total = append(seen, done), of }
		src := &line{payload: s.rel.Payload}
		if err := s.run(src); err != nil {
			t.Fatal(err)
		}
		root := make([]byte, len(s.rel.Root))
		if _, err := s.Partition(2).ReadAt(root, 0); err != nil || !bytes.Equal(root, s.rel.Root) {
			t.Errorf("root differs (%v)", err)
		}
		if err := verity.Verify(s.Partition(2), s.Partition(3), s.rel.Tree.Root); err != nil {
			t.Error(err)
		}
		if want := int64(len(s.rel.Root) + len(s.rel.UKI)); total != want || seen[len(seen)-1] != want || !slices.IsSorted(seen) {
			t.Errorf("progress %v of %d, want up to %d", seen, total, want)
		}
		if diff := cmp.Diff([]int64{0}, src.offsets); diff != "" || src.fetched != int64(len(s.rel.Payload)) {
			t.Errorf("%d bytes fetched of %d: %s", src.fetched, len(s.rel.Payload), diff)
		}
		s.checkEnabled()
	}
}

func TestTheSuperblockIsTheSameOnEveryMachine(t *testing.T) {
	s := newSite(t)
	if err := s.run(s.rel); err != nil {
		t.Fatal(err)
	}
	sb, err := verity.ReadSuperblock(s.Partition(3))
	if err != nil || sb.UUID != verity.UUIDFromRoot(s.rel.Tree.Root) || fmt.Sprintf("%x", sb.Salt) != s.rel.Release.Root.Salt {
		t.Errorf("superblock %x, %v", sb, err)
	}
}

func TestACutLineGoesOnWithRetry(t *testing.T) {
	for _, cut := range []error{nil, io.EOF, fault.New(fault.Unavailable, "reset"), errors.New("reset")} {
		s := newSite(t)
		src := &line{payload: s.rel.Payload, cutAfter: 7000, err: cut}
		attempts := []int{}
		s.in.Retry = func(_ context.Context, n int) error { attempts = append(attempts, n); return nil }
		if err := s.run(src); err != nil {
			t.Fatalf("%v: %v", cut, err)
		}
		s.checkEnabled()
		if src.fetched != int64(len(s.rel.Payload)) || !slices.IsSorted(src.offsets) {
			t.Errorf("%v: %d bytes fetched of %d, from %v", cut, src.fetched, len(s.rel.Payload), src.offsets)
		}
		if slices.Max(attempts) != 1 {
			t.Errorf("%v: bytes arrived, but the attempts counted up: %v", cut, attempts)
		}
	}
}

func TestADeadLineEndsTheCallAndTheNextOneResumes(t *testing.T) {
	s := newSite(t)
	s.in.Retry = func(_ context.Context, n int) error {
		if n == 3 {
			return errors.New("three attempts are enough")
		}
		return nil
	}
	err := s.run(&deadAfter{line: &line{payload: s.rel.Payload, cutAfter: len(s.rel.Payload) / 2}, good: 1})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "three attempts") || fault.HintOf(err) == "" {
		t.Fatalf("got %v", err)
	}
	s.checkUntouched()
	next := &line{payload: s.rel.Payload}
	if err := s.run(next); err != nil {
		t.Fatal(err)
	}
	s.checkEnabled()
	if diff := cmp.Diff([]int64{0, s.opBefore(int64(len(s.rel.Payload) / 2))}, next.offsets); diff != "" {
		t.Errorf("the second call read from: %s", diff)
	}
}

// opBefore is where the data of the operation begins in which a byte of the payload lies.
func (s *site) opBefore(at int64) int64 {
	s.t.Helper()
	end := s.rel.Release.Payload.ManifestSizeBytes
	m, err := payload.Parse(s.rel.Payload[:end])
	if err != nil {
		s.t.Fatal(err)
	}
	var begin int64
	for _, op := range m.Targets[0].Ops {
		if op.Kind != payload.KindZero && end+op.DataOffset <= at {
			begin = end + op.DataOffset
		}
	}
	return begin
}

// deadAfter refuses connections after some good ones.
type deadAfter struct {
	*line
	good int
}

func (d *deadAfter) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	if d.good--; d.good < 0 {
		return nil, fault.New(fault.Unavailable, "no route to host")
	}
	return d.line.Open(ctx, offset)
}

func TestResumeBelievesOnlyWhatItFinds(t *testing.T) {
	prepare := map[string]func(s *site){
		"one byte is wrong": func(s *site) { s.damage(2, 100) },
		"all is wrong":      func(s *site) { s.damage(2, 0, 4096*9, 4096*17) },
		"a zero is none":    func(s *site) { s.damage(2, 4096*13) },
		"no state":          func(s *site) { s.state("") },
		"state is garbage":  func(s *site) { s.state("{") },
		"state is too long": func(s *site) { s.state(strings.Repeat("x", 10_000)) },
		"state of another release": func(s *site) {
			s.state(`{"format":1,"manifest_sha256":"00","slot":"A","ops_done":6}`)
		},
		"claims are too many": func(s *site) {
			s.state(fmt.Sprintf(`{"format":1,"manifest_sha256":%q,"slot":"A","ops_done":1000}`, s.rel.Release.Payload.ManifestSHA256))
		},
		"claims are negative": func(s *site) {
			s.state(fmt.Sprintf(`{"format":1,"manifest_sha256":%q,"slot":"A","ops_done":-1}`, s.rel.Release.Payload.ManifestSHA256))
		},
	}
	for name, change := range prepare {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			if err := s.run(s.rel); err != nil {
				t.Fatal(err)
			}
			change(s)
			if err := s.run(s.rel); err != nil {
				t.Fatal(err)
			}
			s.checkEnabled()
		})
	}
}

// damage flips a bit of a partition at each offset.
func (s *site) damage(number int, offsets ...int64) {
	s.t.Helper()
	sector := make([]byte, 512)
	for _, at := range offsets {
		at -= at % 512
		if _, err := s.Partition(number).ReadAt(sector, at); err != nil {
			s.t.Fatal(err)
		}
		sector[5] ^= 1
		if _, err := s.Partition(number).WriteAt(sector, at); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) state(text string) {
	s.t.Helper()
	if err := folder.Replace(s.Var, install.StateFile, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func TestSourceErrorsThatAreFinalAreNotRetried(t *testing.T) {
	for _, kind := range []fault.Kind{fault.NotFound, fault.Forbidden, fault.Unauthorized, fault.Unsupported} {
		s := newSite(t)
		s.in.Retry = func(context.Context, int) error { t.Errorf("%v was retried", kind); return errors.New("no") }
		src := &line{payload: s.rel.Payload, cutAfter: 9000, err: fault.New(kind, "no more")}
		if err := s.run(src); !fault.Is(err, kind) {
			t.Errorf("got %v, want %v", err, kind)
		}
		s.checkUntouched()
	}
}

func TestCanceled(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.in.Retry = func(context.Context, int) error { cancel(); return nil }
	err := s.in.Run(ctx, s.rel.Release, &line{payload: s.rel.Payload, cutAfter: 50_000})
	if !fault.Is(err, fault.Canceled) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.checkUntouched()
}

// BenchmarkRun installs 32 MiB into files.
func BenchmarkRun(b *testing.B) {
	const blocks = 8192
	rel, err := bootsim.NewRelease("1.2.0", blocks, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	first, err := bootsim.NewRelease("1.1.0", 8, 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(rel.Root)))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		m, err := bootsim.NewMachine(1, first, nil, blocks, 8<<20)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Boot(); err != nil {
			b.Fatal(err)
		}
		s, err := slots.Open(m.Disk, files(b, m), m.ESP, m.RootHash())
		if err != nil {
			b.Fatal(err)
		}
		in := &install.Installer{Slots: s, State: m.Var}
		b.StartTimer()
		if err := in.Run(context.Background(), rel.Release, rel); err != nil {
			b.Fatal(err)
		}
	}
}

// files opens files of the size of partitions.
func files(b *testing.B, m *bootsim.Machine) slots.Opener {
	dir := b.TempDir()
	return func(number, flag int) (slots.Device, error) {
		path := filepath.Join(dir, strconv.Itoa(number))
		file, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(file.Truncate(m.Partition(number).SizeBytes()), file.Close()); err != nil {
			return nil, err
		}
		return slots.OpenBlock(path, flag)
	}
}
