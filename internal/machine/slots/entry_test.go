package slots_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
)

func TestEntriesAreInTheOrderOfTheBootLoader(t *testing.T) {
	_, s := running(t,
		"conifer_1.1.0.efi", "conifer_1.10.0+0-3.efi", "conifer_1.2.0+2-1.efi", "conifer_1.0.0.efi",
		"other.efi", "conifer_1.3.0.conf", "conifer_1.4.0.efi=empty", ".conifer_1.5.0.tmp", "conifer_x.efi")
	got, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	const size = 20
	want := []slots.Entry{
		{Version: "1.2.0", Counted: true, TriesLeft: 2, TriesDone: 1, SizeBytes: size, Names: []string{"conifer_1.2.0+2-1.efi"}},
		{Version: "1.1.0", SizeBytes: size, Names: []string{"conifer_1.1.0.efi"}},
		{Version: "1.0.0", SizeBytes: size, Names: []string{"conifer_1.0.0.efi"}},
		{Version: "1.10.0", Counted: true, TriesDone: 3, SizeBytes: size, Names: []string{"conifer_1.10.0+0-3.efi"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEntriesTellWhatACommitHasLeft(t *testing.T) {
	cases := map[string][]string{
		"both names":     {"conifer_1.1.0+2-1.efi", "conifer_1.1.0.efi"},
		"the old, empty": {"conifer_1.1.0+2-1.efi=empty", "conifer_1.1.0.efi"},
		"the new, empty": {"conifer_1.1.0+2-1.efi", "conifer_1.1.0.efi=empty"},
	}
	for name, files := range cases {
		_, s := running(t, files...)
		for _, want := range []bool{true, false} {
			got, err := s.Entries()
			if err != nil || len(got) != 1 || got[0].Counted != want {
				t.Errorf("%s: %+v, %v; want counted %v", name, got, err, want)
			}
			if err := s.Commit("1.1.0"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// fileCase is what an operation makes of the files in EFI/Linux while 1.1.0 runs from slot B and 1.0.0 is in slot A.
type fileCase struct {
	name   string
	before []string
	after  []string // nil: refused, and nothing changed
	kind   fault.Kind
}

func (c fileCase) check(t *testing.T, do func(s *slots.Slots) error) {
	t.Helper()
	t.Run(c.name, func(t *testing.T) {
		m, s := running(t, c.before...)
		before := fileNames(t, m)
		want := c.after
		for attempt := range 2 {
			err := do(s)
			if c.after == nil {
				want = before
				if !fault.Is(err, c.kind) {
					t.Errorf("got %v, want %v", err, c.kind)
				}
			} else if err != nil {
				t.Errorf("attempt %d: %v", attempt+1, err)
			}
			if diff := cmp.Diff(want, fileNames(t, m)); diff != "" {
				t.Errorf("attempt %d: %s", attempt+1, diff)
			}
		}
		m.Power.Cut(0)
		m.Power.Restore()
		if diff := cmp.Diff(want, fileNames(t, m)); diff != "" && c.after != nil {
			t.Errorf("after a cut: %s", diff)
		}
	})
}

func TestCommit(t *testing.T) {
	both := []string{"conifer_1.0.0.efi", "conifer_1.1.0.efi"}
	for _, c := range []fileCase{
		{"on trial", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi"}, both, 0},
		{"on its last try", []string{"conifer_1.0.0.efi", "conifer_1.1.0+0-3.efi"}, both, 0},
		{"already", both, both, 0},
		{"cut in the firmware's rename", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi", "conifer_1.1.0+3.efi"}, both, 0},
		{"cut in our rename", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi", "conifer_1.1.0.efi"}, both, 0},
		{"cut, the new name emptied", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi", "conifer_1.1.0.efi=empty"}, both, 0},
		{"cut, the new name shortened", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi", "conifer_1.1.0.efi=short"}, both, 0},
		{"cut, the old name emptied", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi=empty", "conifer_1.1.0.efi"}, both, 0},
		{"cut while it was added", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi", ".conifer_1.1.0.tmp"}, both, 0},
		{"older than what ran", []string{"conifer_1.1.0+2-1.efi", "conifer_1.2.0.efi"}, []string{"conifer_1.1.0.efi"}, 0},
		{"older, cut before the end", []string{"conifer_1.1.0.efi", "conifer_1.2.0.efi"}, []string{"conifer_1.1.0.efi"}, 0},
		{"older, cut in the removal", []string{"conifer_1.1.0.efi", "conifer_1.2.0.efi=empty"}, []string{"conifer_1.1.0.efi"}, 0},
		{"beside one of equal age", []string{"conifer_1.01.0.efi", "conifer_1.1.0+2-1.efi"}, []string{"conifer_1.1.0.efi"}, 0},
		{"no entry", []string{"conifer_1.0.0.efi"}, nil, fault.NotFound},
		{"no entry, older than what ran", []string{"conifer_1.2.0.efi"}, nil, fault.NotFound},
		{"only an empty entry", []string{"conifer_1.0.0.efi", "conifer_1.1.0+3.efi=empty"}, nil, fault.NotFound},
	} {
		c.check(t, func(s *slots.Slots) error { return s.Commit("1.1.0") })
	}
	_, s := running(t)
	if err := s.Commit("1.0.0"); !fault.Is(err, fault.Conflict) {
		t.Errorf("commit of a release that does not run: %v", err)
	}
}

func TestCommitKeepsTheWholeFile(t *testing.T) {
	for _, damaged := range []string{"conifer_1.1.0.efi=short", "conifer_1.1.0+2-1.efi=short"} {
		m, s := running(t, "conifer_1.0.0.efi", "conifer_1.1.0+3.efi", damaged)
		if err := s.Commit("1.1.0"); err != nil {
			t.Fatal(err)
		}
		file, err := m.ESP.Open("conifer_1.1.0.efi")
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(file)
		if err != nil || len(content) != 20 {
			t.Errorf("%s: the committed entry has %d bytes, %v", damaged, len(content), err)
		}
	}
}

func TestRemove(t *testing.T) {
	trial := "conifer_1.1.0+2-1.efi"
	for _, c := range []fileCase{
		{"on trial", []string{"conifer_1.0.0.efi", trial}, []string{"conifer_1.0.0.efi"}, 0},
		{"on trial, under two names", []string{"conifer_1.0.0.efi", trial, "conifer_1.1.0+3.efi"}, []string{"conifer_1.0.0.efi"}, 0},
		{"on trial, added twice", []string{"conifer_1.0.0.efi", trial, ".conifer_1.1.0.tmp"}, []string{"conifer_1.0.0.efi"}, 0},
		{"not there", []string{"conifer_1.0.0.efi"}, []string{"conifer_1.0.0.efi"}, 0},
		{"committed", []string{"conifer_1.0.0.efi", "conifer_1.1.0.efi"}, nil, fault.Conflict},
		{"nothing to fall back to", []string{trial}, nil, fault.Conflict},
		{"fallback is empty", []string{"conifer_1.0.0.efi=empty", trial}, nil, fault.Conflict},
		{"fallback has no tries", []string{"conifer_1.0.0+0-3.efi", trial}, nil, fault.Conflict},
		{"fallback is in no slot", []string{"conifer_0.9.0.efi", trial}, nil, fault.Conflict},
	} {
		c.check(t, func(s *slots.Slots) error { return s.Remove("1.1.0") })
	}
	for _, c := range []fileCase{
		{"other, failed", []string{"conifer_1.0.0+0-3.efi", "conifer_1.1.0.efi"}, []string{"conifer_1.1.0.efi"}, 0},
		{"other, while on trial", []string{"conifer_1.0.0.efi", trial}, nil, fault.Conflict},
		{"other, without an own entry", []string{"conifer_1.0.0.efi"}, nil, fault.Conflict},
	} {
		c.check(t, func(s *slots.Slots) error { return s.Remove("1.0.0") })
	}
	fileCase{"in no slot", []string{"conifer_0.9.0.efi", "conifer_1.0.0.efi", trial}, []string{"conifer_1.0.0.efi", trial}, 0}.
		check(t, func(s *slots.Slots) error { return s.Remove("0.9.0") })
}

func TestRetireOther(t *testing.T) {
	for _, c := range []fileCase{
		{"all but the running", []string{"conifer_0.9.0+1.efi", "conifer_1.0.0.efi", "conifer_1.1.0.efi", "conifer_1.2.0+3.efi", ".conifer_1.2.0.tmp", "memtest.efi"},
			[]string{"conifer_1.1.0.efi", "memtest.efi"}, 0},
		{"nothing to do", []string{"conifer_1.1.0.efi"}, []string{"conifer_1.1.0.efi"}, 0},
		{"on trial", []string{"conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi"}, nil, fault.Conflict},
		{"no own entry", []string{"conifer_1.0.0.efi"}, nil, fault.Conflict},
		{"own entry is empty", []string{"conifer_1.0.0.efi", "conifer_1.1.0.efi=empty"}, nil, fault.Conflict},
	} {
		c.check(t, func(s *slots.Slots) error { return s.RetireOther() })
	}
}

// ready gives slots whose other slot is labelled 1.2.0.
func ready(t *testing.T, entries ...string) (*slots.Slots, func() []string) {
	t.Helper()
	m, s := running(t, entries...)
	if err := s.Label("1.2.0", releases.Of("1.2.0").Tree.Root); err != nil {
		t.Fatal(err)
	}
	return s, func() []string { return fileNames(t, m) }
}

func TestAddEntryClearsWhatAnEarlierAttemptLeft(t *testing.T) {
	s, files := ready(t, "conifer_1.1.0.efi", "conifer_1.2.0+1-2.efi", "conifer_1.2.0+2-1.efi=empty", ".conifer_1.2.0.tmp", ".conifer_1.3.0.tmp")
	r := releases.Of("1.2.0")
	for range 2 {
		if err := s.AddEntry("1.2.0", from(bytes.NewReader(r.UKI)), int64(len(r.UKI)), r.Artifacts[0].SHA256, 3); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"conifer_1.1.0.efi", "conifer_1.2.0+3.efi"}, files()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAddEntryRefuses(t *testing.T) {
	r := releases.Of("1.2.0")
	n, digest := int64(len(r.UKI)), r.Artifacts[0].SHA256
	broken := io.MultiReader(bytes.NewReader(r.UKI[:100]), errorReader{fault.New(fault.Unavailable, "the network is gone")})
	cases := []struct {
		name    string
		version string
		uki     io.Reader
		size    int64
		digest  string
		tries   int
		kind    fault.Kind
	}{
		{"short", "1.2.0", bytes.NewReader(r.UKI[:n-1]), n, digest, 3, fault.Corrupt},
		{"long", "1.2.0", io.MultiReader(bytes.NewReader(r.UKI), strings.NewReader("x")), n, digest, 3, fault.Corrupt},
		{"another digest", "1.2.0", bytes.NewReader(r.UKI), n, strings.Repeat("00", 32), 3, fault.Corrupt},
		{"no digest", "1.2.0", bytes.NewReader(r.UKI), n, "x", 3, fault.Invalid},
		{"source breaks", "1.2.0", broken, n, digest, 3, fault.Unavailable},
		{"no tries", "1.2.0", bytes.NewReader(r.UKI), n, digest, 0, fault.Invalid},
		{"not labelled", "1.3.0", bytes.NewReader(r.UKI), n, digest, 3, fault.Conflict},
		{"running", "1.1.0", bytes.NewReader(r.UKI), n, digest, 3, fault.Conflict},
		{"too large", "1.2.0", bytes.NewReader(r.UKI), espBytes, digest, 3, fault.Exhausted},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, files := ready(t, "conifer_1.1.0.efi")
			if err := s.AddEntry(c.version, from(c.uki), c.size, c.digest, c.tries); !fault.Is(err, c.kind) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
			if diff := cmp.Diff([]string{"conifer_1.1.0.efi"}, files()); diff != "" {
				t.Error(diff)
			}
		})
	}
	s, _ := ready(t, "conifer_1.0.0.efi", "conifer_1.1.0+2-1.efi")
	if err := s.AddEntry("1.2.0", from(bytes.NewReader(r.UKI)), n, digest, 3); !fault.Is(err, fault.Conflict) {
		t.Errorf("on trial: %v", err)
	}
}

// from gives what a reader gives.
func from(r io.Reader) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// TestAddEntryReadsBack has a file system that stores something else than it was given.
func TestAddEntryReadsBack(t *testing.T) {
	m, _ := running(t)
	s, err := slots.Open(m.Disk, nil, &liar{m.ESP}, releases.Of("1.1.0").Release.Root.Hash)
	if err != nil {
		t.Fatal(err)
	}
	r := releases.Of("1.2.0")
	if err := s.Label("1.2.0", r.Tree.Root); err != nil {
		t.Fatal(err)
	}
	err = s.AddEntry("1.2.0", from(bytes.NewReader(r.UKI)), int64(len(r.UKI)), r.Artifacts[0].SHA256, 3)
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "read back") {
		t.Errorf("got %v", err)
	}
	if slices.ContainsFunc(fileNames(t, m), func(n string) bool { return strings.Contains(n, "1.2.0") }) {
		t.Errorf("files: %v", fileNames(t, m))
	}
}

// liar gives back the content of temporary files with one bit changed.
type liar struct{ slots.ESP }

func (l *liar) Open(name string) (folder.Content, error) {
	file, err := l.ESP.Open(name)
	if err != nil || !strings.HasSuffix(name, ".tmp") {
		return file, err
	}
	content, err := io.ReadAll(file)
	if len(content) == 0 {
		return nil, errors.Join(err, errors.New("nothing to change"))
	}
	content[0] ^= 1
	return changed{bytes.NewReader(content)}, err
}

type changed struct{ *bytes.Reader }

func (changed) Close() error { return nil }
