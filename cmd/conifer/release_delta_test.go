package main

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// signs is a repository that vouches for some files.
type signs map[string]trust.Target

func (s signs) Target(path string) (trust.Target, error) {
	if t, ok := s[path]; ok {
		return t, nil
	}
	return trust.Target{}, fault.New(fault.NotFound, "%s is no target", path)
}

func TestDeltasOfARepositoryAreThoseThatItSigns(t *testing.T) {
	rel := &release.Release{App: "os", Arch: "amd64", Version: "1.1.0", Payload: release.Payload{SizeBytes: 9}}
	payload := release.Payload{Name: "from-1.0.0.payload", SizeBytes: 8, SHA256: strings.Repeat("ab", 32), ManifestSizeBytes: 2, ManifestSHA256: strings.Repeat("cd", 32)}
	large := payload
	large.Name, large.SizeBytes = "from-0.9.0.payload", 9
	list := release.Deltas{Format: release.DeltasFormat, App: "os", Arch: "amd64", Version: "1.1.0", Deltas: []release.Delta{
		{From: "0.9.0", Features: []string{"delta-1"}, Payload: large}, {From: "1.0.0", Features: []string{"delta-1"}, Payload: payload},
	}}
	text, err := list.Encode()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	const path = "os/amd64/1.1.0/deltas.json"
	signed := signs{path: trust.Target{Path: path, SizeBytes: int64(len(text)), SHA256: sum[:]}}
	dir := t.TempDir()
	write := func(content []byte) {
		t.Helper()
		file := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := publishedDeltas(dir, signed, rel); err == nil {
		t.Error("a list that is signed and not there is passed over")
	}
	write(text)
	got, err := publishedDeltas(dir, signed, rel)
	want := []store.Delta{{From: "1.0.0", Features: []string{"delta-1"}, File: store.File{Name: payload.Name, SizeBytes: 8, SHA256: payload.SHA256}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got, err := publishedDeltas(dir, signs{}, rel); err != nil || got != nil {
		t.Errorf("not signed: got %+v, %v", got, err)
	}
	write(append(text, '\n'))
	if got, err := publishedDeltas(dir, signed, rel); err == nil {
		t.Errorf("changed after it was signed: got %+v", got)
	}
}
