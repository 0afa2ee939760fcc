package folder

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

func TestReplaceAndReadOnARealFolder(t *testing.T) {
	path := t.TempDir()
	for _, open := range []func(string) (*Dir, error){OpenDir, OpenVolume} {
		dir, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		for _, content := range []string{"one", "a longer second content", ""} {
			if err := Replace(dir, "state.json", []byte(content)); err != nil {
				t.Fatal(err)
			}
			got, err := Read(dir, "state.json", 100)
			if err != nil || string(got) != content {
				t.Errorf("read %q, %v; want %q", got, err, content)
			}
		}
		if free, err := dir.FreeBytes(); err != nil || free <= 0 {
			t.Errorf("free: %d, %v", free, err)
		}
	}
}

// A write of several pieces, the last of them small, is there as a whole, and where it belongs.
func TestLargeWritesGoInPieces(t *testing.T) {
	path := t.TempDir()
	dir, err := OpenVolume(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	content := bytes.Repeat([]byte("0123456789abcdef"), 2*paceBytes/16+100)
	file, err := dir.Create("large")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{content[:100], content[100:], []byte("end")} {
		if n, err := file.Write(part); n != len(part) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(part), err)
		}
	}
	if _, err := io.Copy(file, strings.NewReader(" of it")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(path, "large"))
	if want := append(content, "end of it"...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes that differ from the %d that were written (%v)", len(got), len(want), err)
	}
}

func TestListGivesFilesOnly(t *testing.T) {
	path := t.TempDir()
	if err := os.Mkdir(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"b", "a", ".c"} {
		if err := Replace(dir, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.Remove("b"); err != nil {
		t.Fatal(err)
	}
	got, err := dir.List()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Info{{".c", 2}, {"a", 1}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoWayOutOfTheFolder(t *testing.T) {
	dir, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := dir.Create("../outside"); err == nil {
		t.Error("a file outside the folder was made")
	}
	if err := dir.Rename("../a", "b"); err == nil || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a rename from outside the folder: %v", err)
	}
}

func TestReadErrors(t *testing.T) {
	dir, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := Read(dir, "missing", 10); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing file: %v", err)
	}
	if err := Replace(dir, "big", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir, "big", 4); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a file beyond the limit: %v", err)
	}
}

func TestClassify(t *testing.T) {
	cases := []struct {
		err  error
		kind fault.Kind
		hint bool
	}{
		{&os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, fault.Exhausted, true},
		{&os.PathError{Op: "write", Path: "x", Err: syscall.EIO}, fault.Internal, true},
		{os.ErrNotExist, fault.NotFound, false},
		{fault.New(fault.Corrupt, "x"), fault.Corrupt, false},
		{errors.New("x"), fault.Internal, false},
	}
	for _, c := range cases {
		got := Classify("write x", c.err)
		if fault.KindOf(got) != c.kind || (fault.HintOf(got) != "") != c.hint || !errors.Is(got, c.err) {
			t.Errorf("%v: kind %v, hint %q", c.err, fault.KindOf(got), fault.HintOf(got))
		}
	}
	if Classify("write", nil) != nil {
		t.Error("no error became one")
	}
}
