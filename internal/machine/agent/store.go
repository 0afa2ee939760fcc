package agent

import (
	"log/slog"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/update"
)

// The files in the state folder. While the marker is there, conifer-trial.timer reboots a machine whose agent does not
// decide about the release that runs.
const (
	stateFile   = "state.json"
	damagedFile = "state.json.damaged"
	markerFile  = "trial"
	stateLimit  = 1 << 20
	markerLimit = 256
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

// Mark makes the marker of a trial, which holds the version; without a version it removes the marker.
func (s *Store) Mark(version string) error {
	there, err := folder.Read(s.folder, markerFile, markerLimit)
	missing := fault.Is(err, fault.NotFound)
	switch {
	case err != nil && !missing && !fault.Is(err, fault.Corrupt):
		return err
	case version == "" && missing:
		return nil
	case version == "":
		if err := s.folder.Remove(markerFile); err != nil {
			return folder.Classify("remove the trial marker", err)
		}
		return folder.Classify("remove the trial marker", s.folder.Sync())
	case string(there) == version+"\n":
		return nil
	}
	return folder.Replace(s.folder, markerFile, []byte(version+"\n"))
}
