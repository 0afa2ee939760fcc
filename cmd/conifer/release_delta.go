package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

const deltaUsage = "a delta for machines that run FROM, FROM,NAME,SIZE,SHA256 and what they must know (" + payload.FeatureDelta + " unless told): ,FEATURE…; may be repeated"

// parseDeltas reads FROM,NAME,SIZE,SHA256[,FEATURE]….
func parseDeltas(texts []string) ([]store.Delta, error) {
	var deltas []store.Delta
	for _, text := range texts {
		parts := strings.Split(text, ",")
		if len(parts) < 4 {
			return nil, fault.New(fault.Invalid, "--delta %q is not FROM,NAME,SIZE,SHA256 with features behind it", text).
				WithHint("For example --delta 1.0.0,from-1.0.0.payload,1048576,9f86d0…")
		}
		size, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--delta %q has size %q, not a number of bytes", text, parts[2]).WithHint("Give the size without a unit.")
		}
		d := store.Delta{From: parts[0], Features: parts[4:], File: store.File{Name: parts[1], SizeBytes: size, SHA256: strings.ToLower(parts[3])}}
		if len(d.Features) == 0 {
			d.Features = []string{payload.FeatureDelta}
		}
		deltas = append(deltas, d)
	}
	return deltas, nil
}

// signer is a repository's verified metadata.
type signer interface {
	Target(path string) (trust.Target, error)
}

// publishedDeltas are what the service learns of the deltas to a release of the repository at dir: those that it signs, because machines
// find no others. One that is not smaller than the full payload is left out, because the service would refuse it.
func publishedDeltas(dir string, signed signer, r *release.Release) ([]store.Delta, error) {
	name := path.Join(path.Dir(release.TargetPath(r.App, r.Arch, r.Version)), release.DeltasName)
	target, err := signed.Target(name)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	if err := target.Check(text); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	list, err := release.ParseDeltas(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var deltas []store.Delta
	for _, d := range list.Deltas {
		if d.SizeBytes >= r.Payload.SizeBytes {
			continue
		}
		deltas = append(deltas, store.Delta{
			From: d.From, Features: d.Features, File: store.File{Name: d.Name, SizeBytes: d.SizeBytes, SHA256: d.SHA256},
		})
	}
	return deltas, nil
}
