package install

import (
	"encoding/json"
	"sync"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// StateFile is the name of the file that remembers how far a release was written.
const StateFile = "install.json"

const (
	stateFormat     = 1
	stateLimitBytes = 4096
)

// claim is what install.json says: the first OpsDone operations of a manifest are in a slot. It is a hint where
// to start verifying, and is never believed.
type claim struct {
	Format         int    `json:"format"`
	ManifestSHA256 string `json:"manifest_sha256"`
	Slot           string `json:"slot"`
	OpsDone        int    `json:"ops_done"`
}

// loadClaim gives the number of operations that are claimed for a manifest in a slot. A file that is missing or makes
// no sense claims none.
func loadClaim(state folder.Folder, manifestSHA256, slot string) (int, error) {
	text, err := folder.Read(state, StateFile, stateLimitBytes)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var c claim
	if err := json.Unmarshal(text, &c); err != nil || c.Format != stateFormat || c.ManifestSHA256 != manifestSHA256 || c.Slot != slot {
		return 0, nil
	}
	return max(c.OpsDone, 0), nil
}

func saveClaim(state folder.Folder, manifestSHA256, slot string, opsDone int) error {
	text, err := json.Marshal(claim{stateFormat, manifestSHA256, slot, opsDone})
	if err != nil {
		return err
	}
	return folder.Replace(state, StateFile, append(text, '\n'))
}

// meter adds up progress from several goroutines.
type meter struct {
	tell  func(done, total int64)
	total int64

	mu   sync.Mutex
	done int64
}

func (m *meter) add(n int64) {
	if m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.tell(m.done, m.total)
}
