package fleet

import (
	"cmp"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/release"
)

const (
	maxDeltas   = 64 // of one release, as in deltas.json
	maxFeatures = 16 // of one delta
)

// withDeltas is the release with more deltas; one that it has already changes nothing. Another one from the same version is a conflict.
func withDeltas(r store.Release, more []store.Delta) (store.Release, error) {
	r.Deltas = slices.Clone(r.Deltas)
	for _, d := range more {
		old := deltaFrom(&r, d.From)
		switch {
		case old == nil:
			r.Deltas = append(r.Deltas, d)
		case old.File != d.File || !slices.Equal(old.Features, d.Features):
			return r, fault.New(fault.Conflict, "release %s for %s has a delta from %s already, which is another file", r.Version, r.Arch, d.From).
				WithHint("Take that one away first: `conifer release set %s --drop-delta %s`.", r.Version, d.From)
		}
	}
	slices.SortFunc(r.Deltas, func(x, y store.Delta) int { return cmp.Compare(x.From, y.From) })
	return r, checkDeltas(r)
}

// withoutDeltas is the release without its deltas from some versions.
func withoutDeltas(r store.Release, versions []string) (store.Release, error) {
	for _, from := range versions {
		if deltaFrom(&r, from) == nil {
			return r, fault.New(fault.NotFound, "release %s for %s has no delta from %s", r.Version, r.Arch, from).
				WithHint("`conifer release show %s` lists those that it has.", r.Version)
		}
		r.Deltas = slices.DeleteFunc(slices.Clone(r.Deltas), func(d store.Delta) bool { return d.From == from })
	}
	return r, nil
}

// deltaFrom is the delta from a version, or nil.
func deltaFrom(r *store.Release, version string) *store.Delta {
	for i := range r.Deltas {
		if r.Deltas[i].From == version {
			return &r.Deltas[i]
		}
	}
	return nil
}

func sameDeltas(x, y []store.Delta) bool {
	return slices.EqualFunc(x, y, func(a, b store.Delta) bool {
		return a.From == b.From && a.File == b.File && slices.Equal(a.Features, b.Features)
	})
}

func checkDeltas(r store.Release) error {
	if len(r.Deltas) > maxDeltas {
		return fault.New(fault.Invalid, "release %s has %d deltas, the limit is %d", r.Version, len(r.Deltas), maxDeltas)
	}
	names := map[string]bool{r.File: true}
	for _, file := range r.Extra {
		names[file.Name] = true
	}
	for _, d := range r.Deltas {
		if err := checkDelta(r, d); err != nil {
			return err
		}
		if names[d.Name] {
			return fault.New(fault.Invalid, "file %s of release %s is there twice", d.Name, r.Version).WithHint("A delta is a file of its own.")
		}
		names[d.Name] = true
	}
	return nil
}

func checkDelta(r store.Release, d store.Delta) error {
	if !release.ValidVersion(d.From) || d.From == r.Version {
		return fault.New(fault.Invalid, "a delta to %s is from %q, which is no other version", r.Version, d.From).
			WithHint("Name the version that machines run when they take it.")
	}
	if err := checkFile(d.File); err != nil {
		return err
	}
	if d.SizeBytes >= r.SizeBytes {
		return fault.New(fault.Invalid, "the delta from %s has %d bytes, and the full payload %d", d.From, d.SizeBytes, r.SizeBytes).
			WithHint("Leave it out: machines do better with the full payload.")
	}
	if len(d.Features) == 0 || len(d.Features) > maxFeatures {
		return fault.New(fault.Invalid, "the delta from %s has %d features, want 1 to %d", d.From, len(d.Features), maxFeatures).
			WithHint("`conifer payload inspect` shows them.")
	}
	for _, name := range d.Features {
		if err := checkName("feature", name); err != nil {
			return err
		}
	}
	return nil
}

// origins are the versions that deltas are from, in words.
func origins(deltas []store.Delta) string {
	var versions []string
	for _, d := range deltas {
		versions = append(versions, d.From)
	}
	return strings.Join(versions, ", ")
}

// payloads are the files of a release that bring a machine to it.
func payloads(r store.Release) (full rollout.Payload, deltas []rollout.Payload) {
	for _, d := range r.Deltas {
		deltas = append(deltas, rollout.Payload{File: d.Name, SizeBytes: d.SizeBytes, From: d.From, Features: d.Features})
	}
	return rollout.Payload{File: r.File, SizeBytes: r.SizeBytes}, deltas
}
