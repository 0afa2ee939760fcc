package sign

import (
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
)

// Choose returns those of keys that the root trusts for the role. Fewer than its threshold are an error.
func Choose(keys []Key, root metadata.RootType, role string) ([]Key, error) {
	trusted, ok := root.Roles[role]
	if !ok {
		return nil, fault.New(fault.Invalid, "root version %d has no role %q", root.Version, role)
	}
	var chosen []Key
	for _, k := range keys {
		if k.Role == role && slices.Contains(trusted.KeyIDs, k.ID) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) < trusted.Threshold {
		return nil, fault.New(fault.NotFound, "the key folder has %d of the %d %s keys that must sign", len(chosen), trusted.Threshold, role).
			WithHint("`conifer key show --keys DIR --repository DIR` lists the keys that the repository trusts.")
	}
	return chosen, nil
}

// Union joins two lists of keys without repeating one.
func Union(a, b []Key) []Key {
	all := slices.Clone(a)
	for _, k := range b {
		if !slices.ContainsFunc(all, func(have Key) bool { return have.ID == k.ID }) {
			all = append(all, k)
		}
	}
	return all
}
