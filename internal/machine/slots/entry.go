package slots

import (
	"cmp"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/wire/release"
)

// Entry is the boot entry of one release. A cut during a rename may leave it under several names.
type Entry struct {
	Version   string
	Counted   bool // a name with a counter is there: on trial, or a cut has left Commit unfinished
	TriesLeft int  // of a counted entry
	TriesDone int
	SizeBytes int64
	Names     []string // file names, the one that counts first
}

// committed reports whether the file that counts has no counter.
func (e *Entry) committed() bool {
	name, ok := parseEntryName(e.Names[0])
	return ok && !name.counted
}

// bootable reports whether systemd-boot would choose the entry.
func (e *Entry) bootable() bool { return e.committed() || e.TriesLeft > 0 }

// entryFile is one file of a boot entry.
type entryFile struct {
	entryName
	folder.Info
}

// files gives the files of boot entries and the leftovers of writing them.
func (s *Slots) files() (entries []entryFile, temps []folder.Info, err error) {
	infos, err := s.esp.List()
	if err != nil {
		return nil, nil, folder.Classify("list boot entries", err)
	}
	for _, info := range infos {
		if name, ok := parseEntryName(info.Name); ok {
			entries = append(entries, entryFile{name, info})
		} else if isTemp(info.Name) {
			temps = append(temps, info)
		}
	}
	return entries, temps, nil
}

// Entries gives the boot entries in the order in which systemd-boot prefers them. Empty files, as a check of the
// file system leaves them after a cut, are none.
func (s *Slots) Entries() ([]Entry, error) {
	files, _, err := s.files()
	if err != nil {
		return nil, err
	}
	byVersion := map[string][]entryFile{}
	for _, f := range files {
		byVersion[f.version] = append(byVersion[f.version], f)
	}
	var entries []Entry
	for _, group := range byVersion {
		if e := merge(group); e.SizeBytes > 0 {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		if a.bootable() != b.bootable() {
			return map[bool]int{true: -1, false: 1}[a.bootable()]
		}
		return cmp.Or(release.Compare(b.Version, a.Version), cmp.Compare(a.Version, b.Version))
	})
	return entries, nil
}

// merge makes one entry of all files of a release. The file that counts is the longest, because a shorter one
// lost its end; of several whole ones it is the committed one, else the one with the fewest tries left.
func merge(group []entryFile) Entry {
	slices.SortFunc(group, func(a, b entryFile) int {
		if a.counted != b.counted && a.SizeBytes == b.SizeBytes {
			return map[bool]int{true: 1, false: -1}[a.counted]
		}
		return cmp.Or(cmp.Compare(b.SizeBytes, a.SizeBytes), cmp.Compare(a.left, b.left), cmp.Compare(a.Name, b.Name))
	})
	e := Entry{Version: group[0].version, SizeBytes: group[0].SizeBytes}
	for _, f := range group {
		e.Names = append(e.Names, f.Name)
		if f.counted && !e.Counted {
			e.Counted, e.TriesLeft, e.TriesDone = true, f.left, f.done
		}
	}
	return e
}

// entry finds the entry of a release, or gives nil.
func (s *Slots) entry(version string) (*Entry, error) {
	entries, err := s.Entries()
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].Version == version {
			return &entries[i], nil
		}
	}
	return nil, nil
}

// Commit makes the release that runs the one that boots for good: its entry loses the counter, what cuts left beside it is
// removed, and then every entry that the boot loader would prefer, which there is after a downgrade. In this order,
// because a rename on FAT may lose the entry, and the newer release is then the one that boots.
func (s *Slots) Commit(version string) error {
	if version != s.RunningVersion() {
		return fault.New(fault.Conflict, "commit release %s: release %s is the one that runs", version, s.RunningVersion())
	}
	e, err := s.entry(version)
	if err != nil {
		return err
	}
	if e == nil {
		return fault.New(fault.NotFound, "release %s runs but has no boot entry", version).
			WithHint("Install a release again; the machine cannot boot this one another time.")
	}
	keep, stale := e.Names[0], e.Names[1:]
	final := entryName{version: version}.String()
	if keep != final {
		if err := s.renameOver(keep, final, stale); err != nil {
			return err
		}
	}
	_, temps, err := s.files()
	if err != nil {
		return err
	}
	stale = slices.DeleteFunc(slices.Clone(stale), func(name string) bool { return name == final })
	if err := s.removeFiles(append(stale, namesOf(temps)...)); err != nil {
		return err
	}
	return s.removePreferred(version)
}

// removePreferred removes the entries that the boot loader would choose before a committed release. Of two versions that are
// equal nobody knows which one it chooses.
func (s *Slots) removePreferred(version string) error {
	files, _, err := s.files()
	if err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		if f.version != version && release.Compare(f.version, version) >= 0 {
			names = append(names, f.Name)
		}
	}
	return s.removeFiles(names)
}

// renameOver gives a file its final name. What has that name already is a shortened leftover, and is
// removed durably before, so that no cut can leave it in the place of the whole file.
func (s *Slots) renameOver(from, final string, stale []string) error {
	if slices.Contains(stale, final) {
		if err := s.removeFiles([]string{final}); err != nil {
			return err
		}
	}
	if err := s.esp.Rename(from, final); err != nil {
		return folder.Classify("commit boot entry "+from, err)
	}
	return folder.Classify("sync boot entries", s.esp.Sync())
}

// removeFiles removes files durably.
func (s *Slots) removeFiles(names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if err := s.esp.Remove(name); err != nil {
			return folder.Classify("remove "+name, err)
		}
	}
	return folder.Classify("sync boot entries", s.esp.Sync())
}
