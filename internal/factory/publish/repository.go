// Package publish writes repositories: folders of signed metadata and releases that any HTTP server can serve.
//
// Start with [Init] and [Repository.Publish]; [Repository.Upload] brings a repository to the service. Files are written
// one by one in an order such that a client finds a consistent repository at every moment, and what was written is
// read back by the client's own code (internal/wire/trust) before a command succeeds. The package never removes or
// changes a published release. The layout is that of ARCHITECTURE.md, the metadata that of docs/protocol/trust.md.
package publish

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/sign"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

const hour = time.Hour

// Validity is how long signatures of a role are in force.
type Validity struct{ Root, Targets, Snapshot, Timestamp time.Duration }

// Defaults: the offline roles are signed again by people, at each release or once a year; the online ones by a
// timer, daily. A week is what a machine tolerates when that timer stands still.
var Defaults = Validity{Root: 365 * 24 * hour, Targets: 90 * 24 * hour, Snapshot: 30 * 24 * hour, Timestamp: 7 * 24 * hour}

// Repository is one folder and what is needed to sign in it.
type Repository struct {
	Dir      string
	Keys     []sign.Key
	Now      time.Time
	Validity Validity
}

// state is the newest metadata of a repository.
type state struct {
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	view      *trust.View
}

// file is the path of a metadata file.
func (r *Repository) file(name string) string { return filepath.Join(r.Dir, trust.Folder, name) }

// fetch reads metadata as a client does.
func (r *Repository) fetch(name string, maxBytes int64) ([]byte, error) {
	f, err := os.Open(r.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "%s does not exist", r.file(name))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return trust.ReadAll(f, maxBytes)
}

// Check reads the repository as a client that knows its first root does, at the time now.
func (r *Repository) Check(now time.Time) (*trust.View, error) {
	view, _, err := r.read(now)
	return view, err
}

func (r *Repository) read(now time.Time) (*trust.View, trust.Cache, error) {
	first, err := r.fetch(rootName(1), trust.MaxRootSizeBytes)
	if fault.Is(err, fault.NotFound) {
		return nil, nil, fault.New(fault.NotFound, "%s is no repository: it has no %s%s", r.Dir, trust.Folder, rootName(1)).
			WithHint("Make one with `conifer repository init`.")
	}
	if err != nil {
		return nil, nil, err
	}
	view, cache, err := trust.Refresh(first, nil, r.fetch, now, time.Time{})
	if err != nil {
		return nil, nil, fmt.Errorf("read repository %s: %w", r.Dir, err)
	}
	cache[rootName(1)] = first
	return view, cache, nil
}

func rootName(version int64) string { return fmt.Sprintf("%d.root.json", version) }

// load reads and verifies the newest metadata. It judges no expiry (its time is the zero time), because signing
// anew is what mends a repository that has expired.
func (r *Repository) load() (*state, error) {
	view, cache, err := r.read(time.Time{})
	if err != nil {
		return nil, err
	}
	s := &state{view: view, root: metadata.Root(), targets: metadata.Targets(), snapshot: metadata.Snapshot(), timestamp: metadata.Timestamp()}
	_, err1 := s.root.FromBytes(cache[rootName(view.RootVersion)])
	_, err2 := s.targets.FromBytes(cache[trust.TargetsName])
	_, err3 := s.snapshot.FromBytes(cache[trust.SnapshotName])
	_, err4 := s.timestamp.FromBytes(cache[trust.TimestampName])
	return s, errors.Join(err1, err2, err3, err4)
}

// put writes one metadata file durably.
func (r *Repository) put(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(r.file(name)), 0o755); err != nil {
		return err
	}
	_, err := pack.WriteFile(r.file(name), bytes.NewReader(b))
	return err
}

// expires is the moment at which a signature made now for d ends, in whole seconds as the specification wants.
func (r *Repository) expires(d time.Duration) time.Time {
	return r.Now.Add(d).UTC().Truncate(time.Second)
}

// TrustedKeys lists the ids of the keys that the newest root trusts, by role.
func (r *Repository) TrustedKeys() (map[string][]string, error) {
	s, err := r.load()
	if err != nil {
		return nil, err
	}
	ids := map[string][]string{}
	for name, role := range s.root.Signed.Roles {
		ids[name] = role.KeyIDs
	}
	return ids, nil
}

// Releases reads every release that the repository signs.
func (r *Repository) Releases(view *trust.View) ([]*release.Release, error) {
	var all []*release.Release
	for _, path := range releasePaths(view) {
		text, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(path)))
		if err != nil {
			return nil, err
		}
		rel, _, err := view.Release(path, text)
		if err != nil {
			return nil, err
		}
		all = append(all, rel)
	}
	return all, nil
}
