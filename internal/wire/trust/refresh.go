package trust

import (
	"fmt"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"conifer.dev/conifer/internal/fault"
)

// refresh is one run of the client workflow.
type refresh struct {
	set   *trustedmetadata.TrustedMetadata
	cache Cache
	fetch Fetch
}

// Refresh brings the metadata up to date, from the initial root (any version, trusted by the caller) and the cache
// of the last run. Expiry is judged at now, or at notBefore when now is earlier. The cache that it returns must be
// stored even when there is an error: it holds what was verified so far.
func Refresh(initial []byte, cache Cache, fetch Fetch, now, notBefore time.Time) (*View, Cache, error) {
	kept := maps.Clone(cache)
	if kept == nil {
		kept = Cache{}
	}
	if err := inspect("root.json", metadata.ROOT, initial); err != nil {
		return nil, kept, err
	}
	set, err := trustedmetadata.New(initial)
	if err != nil {
		return nil, kept, explain("root.json", err)
	}
	set.RefTime = referenceTime(now, notBefore)
	r := &refresh{set: set, cache: kept, fetch: fetch}
	for _, step := range []func() error{r.roots, r.timestamp, r.snapshot, r.targets} {
		if err := step(); err != nil {
			return nil, r.cache, err
		}
	}
	return newView(set), r.cache, nil
}

// roots follows the chain of roots, each signed by the one before and by itself (5.3.1 to 5.3.11).
func (r *refresh) roots() error {
	for range MaxRootRotations {
		next := r.set.Root.Signed.Version + 1
		name := fmt.Sprintf("%d.root.json", next)
		if b, ok := r.cache[name]; ok && r.root(name, b) == nil {
			continue
		}
		b, err := r.fetch(name, MaxRootSizeBytes)
		if fault.Is(err, fault.NotFound) {
			return r.checkRoot()
		}
		if err != nil {
			return fmt.Errorf("fetch %s: %w", name, err)
		}
		if err := r.root(name, b); err != nil {
			return err
		}
		r.cache[name] = b
	}
	return fault.New(fault.Untrusted, "the repository has more than %d roots that are new", MaxRootRotations)
}

func (r *refresh) root(name string, b []byte) error {
	if err := inspect(name, metadata.ROOT, b); err != nil {
		return err
	}
	want := r.set.Root.Signed.Version + 1
	_, err := r.set.UpdateRoot(b)
	if isVersion(err) {
		return fault.New(fault.Untrusted, "%s has version %d, want %d", name, peek(b).Version, want)
	}
	return explain(name, err)
}

// checkRoot judges the last root of the chain; those before it may have expired.
func (r *refresh) checkRoot() error {
	root := r.set.Root.Signed
	if !root.ConsistentSnapshot {
		return fault.New(fault.Unsupported, "%d.root.json does not promise consistent snapshots", root.Version)
	}
	return r.checkExpiry(fmt.Sprintf("%d.root.json", root.Version), root.Expires)
}

func (r *refresh) checkExpiry(name string, expires time.Time) error {
	if r.set.RefTime.After(expires) {
		return fault.New(fault.Expired, "%s expired at %s, and it is %s", name, expires.UTC().Format(time.RFC3339), r.set.RefTime.UTC().Format(time.RFC3339)).
			WithHint("Check the clock. If it is right, sign the repository again: `conifer repository refresh` (with --targets or --root for those).")
	}
	return nil
}

// timestamp loads the cached timestamp, expired or not, as the version below which none is accepted, and then the
// repository's (5.4). A cached one that the newest root no longer vouches for is forgotten, as 5.3.11 wants.
func (r *refresh) timestamp() error {
	if old := r.cache[TimestampName]; old != nil && inspect(TimestampName, metadata.TIMESTAMP, old) == nil {
		_, _ = r.set.UpdateTimestamp(old)
	}
	b, err := r.fetch(TimestampName, MaxTimestampSizeBytes)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", TimestampName, err)
	}
	if err := inspect(TimestampName, metadata.TIMESTAMP, b); err != nil {
		return err
	}
	before := r.set.Timestamp
	_, err = r.set.UpdateTimestamp(b)
	switch {
	case isEqual(err):
		return r.checkExpiry(TimestampName, before.Signed.Expires)
	case isVersion(err):
		return replayed(b, before.Signed)
	case isExpired(err):
		return r.checkExpiry(TimestampName, r.set.Timestamp.Signed.Expires)
	case err != nil:
		return explain(TimestampName, err)
	}
	r.cache[TimestampName] = b
	return nil
}

// replayed says in which way a timestamp is older than one that was seen.
func replayed(b []byte, seen metadata.TimestampType) error {
	got := peek(b)
	if got.Version < seen.Version {
		return fault.New(fault.Untrusted, "%s has version %d, but version %d was seen before", TimestampName, got.Version, seen.Version)
	}
	return fault.New(fault.Untrusted, "%s names snapshot version %d, but version %d was seen before",
		TimestampName, got.Meta[SnapshotName].Version, seen.Meta[SnapshotName].Version)
}

// snapshot takes the snapshot that the timestamp names, from the cache or the repository (5.5).
func (r *refresh) snapshot() error {
	named := r.set.Timestamp.Signed.Meta[SnapshotName]
	if old := r.cache[SnapshotName]; old != nil && inspect(SnapshotName, metadata.SNAPSHOT, old) == nil {
		_, err := r.set.UpdateSnapshot(old, true)
		if err == nil && named.VerifyLengthHashes(old) == nil {
			return nil
		}
	}
	name := fmt.Sprintf("%d.%s", named.Version, SnapshotName)
	b, err := r.named(name, metadata.SNAPSHOT, named, MaxSnapshotSizeBytes)
	if err != nil {
		return err
	}
	before := r.set.Snapshot
	_, err = r.set.UpdateSnapshot(b, false)
	switch {
	case isVersion(err):
		return mixed(name, b, named.Version, before)
	case isExpired(err):
		return r.checkExpiry(name, r.set.Snapshot.Signed.Expires)
	case err != nil:
		return explain(name, err)
	}
	r.cache[SnapshotName] = b
	return nil
}

// mixed says in which way a snapshot does not belong to its timestamp, or goes back behind one that was seen.
func mixed(name string, b []byte, want int64, before *metadata.Metadata[metadata.SnapshotType]) error {
	got := peek(b)
	if got.Version != want || before == nil {
		return fault.New(fault.Untrusted, "%s has version %d, but %s names version %d", name, got.Version, TimestampName, want)
	}
	return fault.New(fault.Untrusted, "%s names targets version %d, but version %d was seen before",
		name, got.Meta[TargetsName].Version, before.Signed.Meta[TargetsName].Version)
}

// targets takes the targets that the snapshot names, from the cache or the repository (5.6). Delegations are
// not followed: one role signs all releases.
func (r *refresh) targets() error {
	named := r.set.Snapshot.Signed.Meta[TargetsName]
	if named == nil {
		return fault.New(fault.Untrusted, "%s version %d does not name %s", SnapshotName, r.set.Snapshot.Signed.Version, TargetsName)
	}
	if old := r.cache[TargetsName]; old != nil && inspect(TargetsName, metadata.TARGETS, old) == nil {
		if _, err := r.set.UpdateTargets(old); err == nil {
			return nil
		}
	}
	name := fmt.Sprintf("%d.%s", named.Version, TargetsName)
	b, err := r.named(name, metadata.TARGETS, named, MaxTargetsSizeBytes)
	if err != nil {
		return err
	}
	_, err = r.set.UpdateTargets(b)
	switch {
	case isVersion(err):
		return fault.New(fault.Untrusted, "%s has version %d, but %s names version %d", name, peek(b).Version, SnapshotName, named.Version)
	case isExpired(err):
		return r.checkExpiry(name, peek(b).Expires)
	case err != nil:
		return explain(name, err)
	}
	r.cache[TargetsName] = b
	return nil
}

// named fetches a file that its parent names with a version and, usually, a length.
func (r *refresh) named(name, role string, parent *metadata.MetaFiles, maxBytes int64) ([]byte, error) {
	if parent.Length > 0 {
		maxBytes = min(maxBytes, parent.Length)
	}
	b, err := r.fetch(name, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := limited(name, b, maxBytes); err != nil {
		return nil, err
	}
	if err := parent.VerifyLengthHashes(b); err != nil {
		return nil, fault.New(fault.Corrupt, "%s is not the file that its parent names: %w", name, err)
	}
	return b, inspect(name, role, b)
}
