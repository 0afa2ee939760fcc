package publish

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/factory/sign"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/trust"
)

// Init makes the first metadata of a repository, with every key that is there; threshold root keys must sign a
// root. It refuses a folder that has metadata.
func Init(r *Repository, threshold int) error {
	if _, err := os.Lstat(filepath.Join(r.Dir, trust.Folder)); err == nil {
		return fault.New(fault.Conflict, "%s has metadata already", r.Dir).
			WithHint("Its root of trust is on machines: change keys with `conifer key rotate`.")
	}
	s := &state{root: metadata.Root(r.expires(r.Validity.Root)), targets: metadata.Targets(),
		snapshot: metadata.Snapshot(), timestamp: metadata.Timestamp()}
	if err := addKeys(s.root, r.Keys); err != nil {
		return err
	}
	if n := len(s.root.Signed.Roles[metadata.ROOT].KeyIDs); threshold < 1 || threshold > n {
		return fault.New(fault.Invalid, "root threshold is %d, want 1 to %d, the number of root keys", threshold, n)
	}
	s.root.Signed.Roles[metadata.ROOT].Threshold = threshold
	s.targets.Signed.Version, s.snapshot.Signed.Version, s.timestamp.Signed.Version = 0, 0, 0
	c, err := r.choose(s.root.Signed)
	if err != nil {
		return err
	}
	b, err := sign.Sign(s.root, c[metadata.ROOT])
	if err != nil {
		return err
	}
	if err := r.put(rootName(1), b); err != nil {
		return err
	}
	return r.publishTargets(s, c)
}

func addKeys(root *metadata.Metadata[metadata.RootType], keys []sign.Key) error {
	for _, k := range keys {
		public, err := k.Public()
		if err != nil {
			return err
		}
		if err := root.Signed.AddKey(public, k.Role); err != nil {
			return err
		}
	}
	return nil
}

// chosen holds the keys that sign for each role.
type chosen map[string][]sign.Key

// choose finds the keys for the named roles, or for all; a missing one is an error before anything is written.
func (r *Repository) choose(root metadata.RootType, roles ...string) (chosen, error) {
	if len(roles) == 0 {
		roles = sign.Roles
	}
	c := chosen{}
	for _, role := range roles {
		keys, err := sign.Choose(r.Keys, root, role)
		if err != nil {
			return nil, err
		}
		c[role] = keys
	}
	return c, nil
}

// publishTargets signs the next version of targets, and of all that names it.
func (r *Repository) publishTargets(s *state, c chosen) error {
	s.targets.Signed.Version++
	s.targets.Signed.Expires = r.expires(r.Validity.Targets)
	b, err := sign.Sign(s.targets, c[metadata.TARGETS])
	if err != nil {
		return err
	}
	if err := r.put(fmt.Sprintf("%d.%s", s.targets.Signed.Version, trust.TargetsName), b); err != nil {
		return err
	}
	s.snapshot.Signed.Meta[trust.TargetsName] = describe(s.targets.Signed.Version, b)
	return r.publishSnapshot(s, c)
}

// publishSnapshot signs the next versions of snapshot and timestamp. The timestamp comes last and replaces its file at
// once: before it, a client sees the old state whole, after it the new one.
func (r *Repository) publishSnapshot(s *state, c chosen) error {
	s.snapshot.Signed.Version++
	s.snapshot.Signed.Expires = r.expires(r.Validity.Snapshot)
	b, err := sign.Sign(s.snapshot, c[metadata.SNAPSHOT])
	if err != nil {
		return err
	}
	if err := r.put(fmt.Sprintf("%d.%s", s.snapshot.Signed.Version, trust.SnapshotName), b); err != nil {
		return err
	}
	s.timestamp.Signed.Version++
	s.timestamp.Signed.Expires = r.expires(r.Validity.Timestamp)
	s.timestamp.Signed.Meta[trust.SnapshotName] = describe(s.snapshot.Signed.Version, b)
	b, err = sign.Sign(s.timestamp, c[metadata.TIMESTAMP])
	if err != nil {
		return err
	}
	return r.put(trust.TimestampName, b)
}

// describe is how a parent names a metadata file.
func describe(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// Refresh signs snapshot and timestamp anew, with the online keys alone; and root or targets too, unchanged but for
// their expiry, when it is asked to.
func (r *Repository) Refresh(root, targets bool) (*trust.View, error) {
	s, err := r.load()
	if err != nil {
		return nil, err
	}
	roles := []string{metadata.SNAPSHOT, metadata.TIMESTAMP}
	if root {
		roles = append(roles, metadata.ROOT)
	}
	if targets {
		roles = append(roles, metadata.TARGETS)
	}
	c, err := r.choose(s.root.Signed, roles...)
	if err != nil {
		return nil, err
	}
	publish := r.publishSnapshot
	if targets {
		publish = r.publishTargets
	}
	if err := publish(s, c); err != nil {
		return nil, err
	}
	if root {
		if err := r.publishRoot(s, c); err != nil {
			return nil, err
		}
	}
	return r.Check(r.Now)
}
