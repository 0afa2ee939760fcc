package slots

import (
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// RetireOther removes every boot entry that is not of the running release, and the leftovers of writing one. From
// here nothing can boot the other slot. It refuses while the running release is on trial, because the other
// slot is then the one to fall back to.
func (s *Slots) RetireOther() error {
	if err := s.checkCommitted("retire the other slot"); err != nil {
		return err
	}
	stale, err := s.staleFiles()
	if err != nil {
		return err
	}
	return s.removeFiles(namesOf(stale))
}

// staleFiles are the files that RetireOther removes.
func (s *Slots) staleFiles() ([]folder.Info, error) {
	files, stale, err := s.files()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.version != s.RunningVersion() {
			stale = append(stale, f.Info)
		}
	}
	return stale, nil
}

func namesOf(infos []folder.Info) []string {
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

// checkCommitted refuses what needs the running release to have a boot entry without a counter.
func (s *Slots) checkCommitted(what string) error {
	version := s.RunningVersion()
	e, err := s.entry(version)
	switch {
	case err != nil:
		return err
	case e == nil:
		return fault.New(fault.Conflict, "%s: the running release %s has no boot entry", what, version).
			WithHint("Copy its UKI to /efi/EFI/Linux/%s.", entryName{version: version})
	case !e.committed():
		return fault.New(fault.Conflict, "%s: the running release %s is on trial", what, version).
			WithHint("Wait until it is committed.")
	}
	return nil
}

// Remove removes the boot entry of a release, and the leftovers of writing one; that there is none is fine. It refuses to remove the last way to
// boot: the running release when it is committed or the other cannot boot, and the other while the running one is on trial.
func (s *Slots) Remove(version string) error {
	files, temps, err := s.files()
	if err != nil {
		return err
	}
	names := namesOf(temps)
	for _, f := range files {
		if f.version == version {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := s.checkRemovable(version); err != nil {
		return err
	}
	return s.removeFiles(names)
}

func (s *Slots) checkRemovable(version string) error {
	what := "remove the boot entry of " + version
	if version != s.RunningVersion() {
		if version != s.Info(s.Other()).Version {
			return nil // it belongs to no slot, so it boots nothing
		}
		return s.checkCommitted(what)
	}
	own, err := s.entry(version)
	if err != nil {
		return err
	}
	if own != nil && own.committed() {
		return fault.New(fault.Conflict, "%s: it runs and is committed", what)
	}
	other, err := s.entry(s.Info(s.Other()).Version)
	if err != nil {
		return err
	}
	if other == nil || !other.bootable() {
		return fault.New(fault.Conflict, "%s: no other release can boot", what)
	}
	return nil
}
