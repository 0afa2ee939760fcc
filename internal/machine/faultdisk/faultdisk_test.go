package faultdisk

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/machine/folder"
)

// fill writes n pages of a byte at a page.
func fill(t *testing.T, d *Disk, page int, b byte) error {
	t.Helper()
	_, err := d.WriteAt(bytes.Repeat([]byte{b}, pageSize), int64(page*pageSize))
	return err
}

// picture is one letter for each sector.
func picture(t *testing.T, d *Disk) string {
	t.Helper()
	content := make([]byte, d.SizeBytes())
	if _, err := d.ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for at := 0; at < len(content); at += sectorSize {
		s.WriteByte(content[at] | '@')
	}
	return s.String()
}

func TestDiskLosesWhatWasNotSynced(t *testing.T) {
	const a, b, c = "AAAAAAAA", "BBBBBBBB", "CCCCCCCC"
	want := map[Loss]string{
		LoseAll: a + "@@@@@@@@" + "@@@@@@@@", KeepAll: a + b + c, KeepLast: a + "@@@@@@@@" + c,
		HalfFirst: a + b + "CCCC@@@@", HalfSecond: a + b + "@@@@CCCC",
	}
	for loss, want := range want {
		power := NewPower(1)
		d := NewDisk(power, make([]byte, 3*pageSize))
		if err := errors.Join(fill(t, d, 0, 1), d.Sync(), fill(t, d, 1, 2)); err != nil {
			t.Fatal(err)
		}
		power.CutAt(1, loss)
		if err := fill(t, d, 2, 3); !errors.Is(err, ErrOff) {
			t.Errorf("%v: the cut write: %v", loss, err)
		}
		if err := errors.Join(fill(t, d, 0, 9), d.Sync()); !errors.Is(err, ErrOff) || !power.Off() {
			t.Errorf("%v: a write after the cut: %v", loss, err)
		}
		if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrOff) {
			t.Errorf("%v: a read after the cut: %v", loss, err)
		}
		power.Restore()
		if got := picture(t, d); got != want {
			t.Errorf("%v: %s, want %s", loss, got, want)
		}
	}
}

func TestTearingDependsOnTheSeedOnly(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(20) {
		var first string
		for range 2 {
			power := NewPower(seed)
			d := NewDisk(power, make([]byte, pageSize))
			if err := fill(t, d, 0, 1); err != nil {
				t.Fatal(err)
			}
			power.Cut(Tear)
			power.Restore()
			if got := picture(t, d); first == "" {
				first = got
			} else if got != first {
				t.Errorf("seed %d: %s and %s", seed, first, got)
			}
		}
		seen[first] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 seeds gave %d results", len(seen))
	}
}

func TestEveryPageIsAWrite(t *testing.T) {
	power := NewPower(1)
	d := NewDisk(power, make([]byte, 4*pageSize))
	if n, err := d.WriteAt(make([]byte, 3*pageSize+sectorSize), 0); err != nil || n != 3*pageSize+sectorSize {
		t.Fatal(n, err)
	}
	if power.Writes() != 4 {
		t.Errorf("%d writes, want 4", power.Writes())
	}
	for _, bad := range []struct {
		bytes  int
		offset int64
	}{{1, 0}, {sectorSize, 1}, {sectorSize, 4 * pageSize}, {sectorSize, -sectorSize}} {
		if _, err := d.WriteAt(make([]byte, bad.bytes), bad.offset); err == nil {
			t.Errorf("a write of %d at %d", bad.bytes, bad.offset)
		}
	}
}

func TestFailAtFailsOnce(t *testing.T) {
	power := NewPower(1)
	d := NewDisk(power, make([]byte, pageSize))
	power.FailAt(2, syscall.EIO)
	if err := fill(t, d, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := fill(t, d, 0, 2); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second write: %v", err)
	}
	if got := picture(t, d); got != "AAAAAAAA" {
		t.Errorf("after it: %s", got)
	}
	if err := fill(t, d, 0, 3); err != nil {
		t.Errorf("the third write: %v", err)
	}
}

// after does something to a folder that holds the durable file "old", cuts the power, and gives the names and
// contents that are left.
func after(t *testing.T, make func(*Power, int64) *Folder, seed uint64, loss Loss, do func(f *Folder) error) string {
	t.Helper()
	power := NewPower(seed)
	f := make(power, 1<<20)
	f.Put("old", []byte("content"))
	if err := do(f); err != nil {
		t.Fatal(err)
	}
	power.Cut(loss)
	power.Restore()
	infos, err := f.List()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, info := range infos {
		content, err := folder.Read(f, info.Name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, info.Name+"="+string(content))
	}
	return strings.Join(left, " ")
}

// outcomes are all results over all losses and many seeds.
func outcomes(t *testing.T, make func(*Power, int64) *Folder, do func(f *Folder) error) []string {
	t.Helper()
	seen := map[string]bool{}
	for seed := range uint64(40) {
		for _, loss := range Losses() {
			seen[after(t, make, seed, loss, do)] = true
		}
	}
	var all []string
	for s := range seen {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

func TestWhatACutLeavesOfAFolder(t *testing.T) {
	rename := func(f *Folder) error { return f.Rename("old", "new") }
	remove := func(f *Folder) error { return f.Remove("old") }
	create := func(f *Folder) error {
		file, err := f.Create("made")
		if err != nil {
			return err
		}
		_, err = file.Write([]byte("x"))
		return errors.Join(err, file.Sync())
	}
	synced := func(do func(*Folder) error) func(*Folder) error {
		return func(f *Folder) error { return errors.Join(do(f), f.Sync()) }
	}
	cases := []struct {
		name string
		make func(*Power, int64) *Folder
		do   func(f *Folder) error
		want []string
	}{
		{"rename on FAT", NewFAT, rename, []string{"", "new= old=content", "new=content", "new=content old=", "new=content old=content", "old=content"}},
		{"synced rename on FAT", NewFAT, synced(rename), []string{"new=content"}},
		{"remove on FAT", NewFAT, remove, []string{"", "old=", "old=content"}},
		{"synced remove on FAT", NewFAT, synced(remove), []string{""}},
		{"create on FAT", NewFAT, create, []string{"made=x old=content", "old=content"}},
		{"synced create on FAT", NewFAT, synced(create), []string{"made=x old=content"}},
		{"rename with a journal", NewJournaled, rename, []string{"new=content", "old=content"}},
		{"remove with a journal", NewJournaled, remove, []string{"", "old=content"}},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, outcomes(t, c.make, c.do)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestUnsyncedContentIsTorn(t *testing.T) {
	got := outcomes(t, NewJournaled, func(f *Folder) error {
		file, err := f.Create("made")
		if err != nil {
			return err
		}
		_, err = file.Write(bytes.Repeat([]byte("x"), 3*sectorSize))
		return errors.Join(err, f.Sync())
	})
	whole := "made=" + strings.Repeat("x", 3*sectorSize) + " old=content"
	if !slices.Contains(got, whole) || !slices.Contains(got, "made= old=content") || len(got) < 20 {
		t.Errorf("%d results", len(got))
	}
}

func TestReplaceIsWholeOnBothFileSystems(t *testing.T) {
	replace := func(f *Folder) error { return folder.Replace(f, "old", []byte("next")) }
	for _, make := range []func(*Power, int64) *Folder{NewFAT, NewJournaled} {
		if got := outcomes(t, make, replace); !slices.Equal(got, []string{"old=next"}) {
			t.Errorf("after Replace: %q", got)
		}
	}
	for at := 1; at <= 5; at++ {
		for _, loss := range Losses() {
			got := after(t, NewJournaled, uint64(at), loss, func(f *Folder) error {
				f.power.CutAt(at, loss)
				if err := replace(f); !errors.Is(err, ErrOff) {
					return errors.New("Replace has fewer writes")
				}
				return nil
			})
			if !strings.Contains(got, "old=content") && !strings.Contains(got, "old=next") {
				t.Errorf("cut at write %d, %v: %q", at, loss, got)
			}
		}
	}
}

func TestAFullFolder(t *testing.T) {
	f := NewFAT(NewPower(1), 5000)
	file, err := f.Create("large")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, bytes.NewReader(make([]byte, 6000))); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if err := f.Remove("large"); err != nil {
		t.Fatal(err)
	}
	if free, err := f.FreeBytes(); err != nil || free != 5000 {
		t.Errorf("free: %d, %v", free, err)
	}
}
