package publish

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/factory/sign"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/trust"
)

// RetiredFolder is where the keys that were replaced go, inside the key folder.
const RetiredFolder = "retired"

// Rotate replaces every key of one role by a new one: a new version of root, signed by the root keys of the old and of
// the new version. Metadata that the role signs is signed by its old and new keys, and written before the root that
// forgets the old ones, so that clients before and after that moment accept it. When the old keys of a role
// other than root are lost, clients refuse the repository between the two writes, and try again later.
func (r *Repository) Rotate(keyDir, role string) (*trust.View, error) {
	s, err := r.load()
	if err != nil {
		return nil, err
	}
	c, retired, err := r.chooseFor(role, s)
	if err != nil {
		return nil, err
	}
	fresh, err := replaceKeys(s.root, keyDir, role)
	if err != nil {
		return nil, err
	}
	c[role] = sign.Union(retired, fresh)
	if err := r.publishFor(role, s, c); err != nil {
		return nil, err
	}
	if err := r.publishRoot(s, c); err != nil {
		return nil, err
	}
	if err := retire(keyDir, retired); err != nil {
		return nil, err
	}
	return r.Check(r.Now)
}

// publishRoot signs the next version of root.
func (r *Repository) publishRoot(s *state, c chosen) error {
	s.root.Signed.Version++
	s.root.Signed.Expires = r.expires(r.Validity.Root)
	b, err := sign.Sign(s.root, c[metadata.ROOT])
	if err != nil {
		return err
	}
	return r.put(rootName(s.root.Signed.Version), b)
}

// chooseFor finds the keys that must sign when those of role change, and the keys of role that are there.
func (r *Repository) chooseFor(role string, s *state) (c chosen, present []sign.Key, err error) {
	if !slices.Contains(sign.Roles, role) {
		return nil, nil, fault.New(fault.Invalid, "%q is not a role", role).WithHint("Roles are %s.", strings.Join(sign.Roles, ", "))
	}
	others := slices.DeleteFunc(affected(role), func(a string) bool { return a == role && role != metadata.ROOT })
	if c, err = r.choose(s.root.Signed, others...); err != nil {
		return nil, nil, err
	}
	present, err = sign.Choose(r.Keys, s.root.Signed, role)
	if fault.Is(err, fault.NotFound) && role != metadata.ROOT {
		return c, nil, nil
	}
	return c, present, err
}

// affected lists the roles that must sign when the keys of role change.
func affected(role string) []string {
	switch role {
	case metadata.ROOT:
		return []string{metadata.ROOT}
	case metadata.TARGETS:
		return []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}
	}
	return []string{metadata.ROOT, metadata.SNAPSHOT, metadata.TIMESTAMP}
}

func (r *Repository) publishFor(role string, s *state, c chosen) error {
	switch role {
	case metadata.ROOT:
		return nil
	case metadata.TARGETS:
		return r.publishTargets(s, c)
	}
	return r.publishSnapshot(s, c)
}

// replaceKeys makes as many new keys as the role has, and puts them into root in place of the old.
func replaceKeys(root *metadata.Metadata[metadata.RootType], keyDir, role string) ([]sign.Key, error) {
	ids := append([]string(nil), root.Signed.Roles[role].KeyIDs...)
	var fresh []sign.Key
	for _, id := range ids {
		if err := root.Signed.RevokeKey(id, role); err != nil {
			return nil, err
		}
		k, err := sign.NewKey(keyDir, role)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, k)
	}
	return fresh, addKeys(root, fresh)
}

// retire moves the files of keys that no repository trusts any more out of the way. They are kept: who wonders what
// an old signature was made with can still find it.
func retire(keyDir string, keys []sign.Key) error {
	dir := filepath.Join(keyDir, RetiredFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, k := range keys {
		if err := os.Rename(k.Path, filepath.Join(dir, filepath.Base(k.Path))); err != nil {
			return fmt.Errorf("retire key: %w", err)
		}
	}
	return nil
}
