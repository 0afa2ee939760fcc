package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// View is what a repository says, all of it verified and in force.
type View struct {
	RootVersion     int64
	SnapshotVersion int64
	TargetsVersion  int64
	Expires         time.Time // the first moment at which a part of it is no longer in force
	targets         map[string]*metadata.TargetFiles
}

func newView(set *trustedmetadata.TrustedMetadata) *View {
	targets := set.Targets[metadata.TARGETS].Signed
	expires := set.Root.Signed.Expires
	for _, t := range []time.Time{set.Timestamp.Signed.Expires, set.Snapshot.Signed.Expires, targets.Expires} {
		if t.Before(expires) {
			expires = t
		}
	}
	return &View{
		RootVersion: set.Root.Signed.Version, SnapshotVersion: set.Snapshot.Signed.Version, TargetsVersion: targets.Version,
		Expires: expires, targets: targets.Targets,
	}
}

// Target is one file that the targets role vouches for.
type Target struct {
	Path      string
	SizeBytes int64
	SHA256    []byte
	Custom    Custom
}

// Custom is what the targets role says of a release beyond its digest.
type Custom struct {
	// DowngradeFrom lists the versions from which a machine may go back to this release. Each is named, so that the
	// permission for one withdrawn release does not reach back from every later one.
	DowngradeFrom []string `json:"downgrade_from,omitempty"`
}

// Paths lists the targets in order.
func (v *View) Paths() []string {
	paths := make([]string, 0, len(v.targets))
	for path := range v.targets {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// Target finds the file at path; NotFound when the targets role never signed one.
func (v *View) Target(path string) (Target, error) {
	file, ok := v.targets[path]
	if !ok {
		return Target{}, fault.New(fault.NotFound, "%s version %d does not name %s", TargetsName, v.TargetsVersion, path).
			WithHint("The release was never signed, or its signature has not reached this mirror yet.")
	}
	t := Target{Path: path, SizeBytes: file.Length, SHA256: file.Hashes["sha256"]}
	if len(t.SHA256) != sha256.Size || t.SizeBytes < 0 || t.SizeBytes > MaxReleaseSizeBytes {
		return Target{}, fault.New(fault.Corrupt, "%s names %s without a sha256, or with %d bytes", TargetsName, path, t.SizeBytes)
	}
	if file.Custom != nil {
		if err := json.Unmarshal(*file.Custom, &t.Custom); err != nil {
			return Target{}, fault.New(fault.Corrupt, "%s has a custom field for %s that cannot be read: %w", TargetsName, path, err)
		}
	}
	return t, nil
}

// Check compares bytes with the target's length and digest.
func (t Target) Check(b []byte) error {
	if int64(len(b)) != t.SizeBytes {
		return fault.New(fault.Corrupt, "%s has %d bytes, want %d", t.Path, len(b), t.SizeBytes)
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], t.SHA256) {
		return fault.New(fault.Corrupt, "%s has digest %x, want %x", t.Path, sum, t.SHA256)
	}
	return nil
}

// Release accepts the text of the release.json at a target path: signed, whole, and of the application,
// architecture and version that its path says.
func (v *View) Release(path string, text []byte) (*release.Release, Target, error) {
	t, err := v.Target(path)
	if err != nil {
		return nil, Target{}, err
	}
	if err := t.Check(text); err != nil {
		return nil, Target{}, err
	}
	r, err := CheckRelease(path, text)
	return r, t, err
}

// CheckRelease parses a release.json and compares it with its target path, so that a signed release of one
// application or architecture cannot be offered as another.
func CheckRelease(path string, text []byte) (*release.Release, error) {
	r, err := release.Parse(text)
	if err != nil {
		return nil, err
	}
	if got := release.TargetPath(r.App, r.Arch, r.Version); got != path {
		return nil, fault.New(fault.Untrusted, "%s describes %s", path, got)
	}
	return r, nil
}

// Admit refuses a release that is older than committed, the newest version that this machine has ever committed, or
// "" before the first. A signed target can allow going back from exactly that version.
func Admit(r *release.Release, committed string, custom Custom) error {
	if committed == "" || release.Compare(r.Version, committed) >= 0 {
		return nil
	}
	if slices.Contains(custom.DowngradeFrom, committed) {
		return nil
	}
	return fault.New(fault.Untrusted, "release %s is older than %s, which was committed here", r.Version, committed).
		WithHint("To withdraw %s, publish %s with `--downgrade-from %s`.", committed, r.Version, committed)
}
