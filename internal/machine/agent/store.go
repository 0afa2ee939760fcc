package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/update"
)

// The files in the state folder. The marker of a trial names the version in its own name, so that conifer-trial.timer
// can tell by a condition (trial-%A) whether it is the running release that is on trial.
const (
	stateFile      = "state.json"
	damagedFile    = "state.json.damaged"
	markPrefix     = "trial-"
	stateLimit     = 1 << 20
	markerContents = "The agent removes this file when it has decided about the release.\n"
)

// Store keeps the state of the machine.
type Store struct{ folder folder.Folder }

// NewStore keeps it in a folder.
func NewStore(f folder.Folder) *Store { return &Store{f} }

// Load reads the state. A state that cannot be read is put aside: the machine goes on with the evidence on its disk,
// because an agent that does not start cannot be mended by an update.
func (s *Store) Load(log *slog.Logger) (update.State, error) {
	text, err := folder.Read(s.folder, stateFile, stateLimit)
	if fault.Is(err, fault.NotFound) {
		return update.New(), nil
	}
	if err == nil {
		var state update.State
		if state, err = update.Decode(text); err == nil {
			return state, nil
		}
	}
	if kind := fault.KindOf(err); kind != fault.Corrupt && kind != fault.Unsupported {
		return update.State{}, err
	}
	log.Error("state is put aside", "error", err, "file", damagedFile)
	if err := s.folder.Rename(stateFile, damagedFile); err != nil {
		return update.State{}, folder.Classify("put state aside", err)
	}
	return update.New(), folder.Classify("put state aside", s.folder.Sync())
}

// Save makes a state durable.
func (s *Store) Save(state update.State) error {
	return folder.Replace(s.folder, stateFile, state.Encode())
}

// Mark makes the marker of a trial the only one; without a version there is none.
func (s *Store) Mark(version string) error {
	infos, err := s.folder.List()
	if err != nil {
		return folder.Classify("list markers", err)
	}
	want := markPrefix + version
	there, stale := false, []string{}
	for _, info := range infos {
		switch {
		case version != "" && info.Name == want:
			there = true
		case strings.HasPrefix(info.Name, markPrefix):
			stale = append(stale, info.Name)
		}
	}
	if version != "" && !there {
		if err := folder.Replace(s.folder, want, []byte(markerContents)); err != nil {
			return err
		}
	}
	return s.remove(stale)
}

func (s *Store) remove(names []string) error {
	for _, name := range names {
		if err := s.folder.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return folder.Classify("remove marker", err)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return folder.Classify("remove marker", s.folder.Sync())
}
