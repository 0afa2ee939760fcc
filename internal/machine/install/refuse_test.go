package install_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/wire/payload"
)

func TestBadBytesEnableNothing(t *testing.T) {
	dataAt := func(s *site) int64 { return s.rel.Release.Payload.ManifestSizeBytes }
	cases := []struct {
		name    string
		change  func(s *site)
		kind    fault.Kind
		message string
	}{
		{"root data", func(s *site) { s.rel.Payload[dataAt(s)+10] ^= 1 }, fault.Corrupt, "target root: operation at offset 0"},
		{"UKI data", func(s *site) { s.rel.Payload[len(s.rel.Payload)-1] ^= 1 }, fault.Corrupt, "target uki"},
		{"payload ends early", func(s *site) { s.rel.Payload = s.rel.Payload[:len(s.rel.Payload)-1] }, fault.Corrupt, "payload ends at byte"},
		{"payload ends at once", func(s *site) { s.rel.Payload = nil }, fault.Corrupt, "payload ends at byte 0"},
		{"payload goes on", func(s *site) { s.rel.Payload = append(s.rel.Payload, 'x') }, fault.Corrupt, "payload goes on after byte"},
		{"another salt", func(s *site) { s.rel.Release.Root.Salt = "00" }, fault.Corrupt, "has the root hash"},
		{"another root hash", func(s *site) { s.rel.Release.Root.Hash = strings.Repeat("5a", 32) }, fault.Corrupt, "has the root hash"},
		{"another UKI", func(s *site) { s.rel.Release.Artifacts[0].SHA256 = strings.Repeat("5a", 32) }, fault.Corrupt, "UKI has digest"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.rel.Payload, s.rel.Release.Artifacts = bytes.Clone(s.rel.Payload), slices.Clone(s.rel.Release.Artifacts)
			s.in.Retry = func(context.Context, int) error { return nil }
			c.change(s)
			if err := s.run(s.rel); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
			s.checkUntouched()
			s.rel = releases.Of("1.2.0")
			if err := s.Boot(); err != nil {
				t.Fatal(err)
			}
			if err := s.run(s.rel); err != nil {
				t.Errorf("with good bytes: %v", err)
			}
			s.checkEnabled()
		})
	}
}

// reseal changes the manifest and signs it again.
func (s *site) reseal(change func(m *payload.Manifest)) {
	s.t.Helper()
	end := s.rel.Release.Payload.ManifestSizeBytes
	m, err := payload.Parse(s.rel.Payload[:end])
	if err != nil {
		s.t.Fatal(err)
	}
	data := s.rel.Payload[end:]
	change(m)
	if err := s.rel.Seal(m, data[:m.DataSizeBytes()]); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatCannotBeInstalledIsRefusedBeforeAnyWrite(t *testing.T) {
	cases := []struct {
		name    string
		change  func(s *site)
		kind    fault.Kind
		message string
	}{
		{"manifest is not the signed one", func(s *site) { s.rel.Release.Payload.ManifestSHA256 = strings.Repeat("5a", 32) }, fault.Corrupt, "manifest digest"},
		{"manifest is too large", func(s *site) {
			s.rel.Release.Payload.ManifestSizeBytes, s.rel.Release.Payload.SizeBytes = 1<<30, 1<<31
		}, fault.Corrupt, "the limit is"},
		{"manifest of another version", func(s *site) { s.reseal(func(m *payload.Manifest) { m.Version = "1.3.0" }) }, fault.Untrusted, "1.3.0"},
		{"manifest of another app", func(s *site) { s.reseal(func(m *payload.Manifest) { m.App = "other" }) }, fault.Untrusted, "other"},
		{"manifest of another architecture", func(s *site) { s.reseal(func(m *payload.Manifest) { m.Arch = "arm64" }) }, fault.Untrusted, "arm64"},
		{"no UKI in the payload", func(s *site) { s.reseal(func(m *payload.Manifest) { m.Targets = m.Targets[:1] }) }, fault.NotFound, "no target"},
		{"a target too many", func(s *site) {
			s.reseal(func(m *payload.Manifest) {
				op := payload.Op{Kind: payload.KindZero, SizeBytes: 1}
				m.Targets = append(m.Targets, payload.Target{Name: "more", SizeBytes: 1, Ops: []payload.Op{op}})
			})
		}, fault.Unsupported, "3 targets"},
		{"half a block", func(s *site) {
			s.reseal(func(m *payload.Manifest) {
				op := m.Targets[0].Ops[3] // zeros
				first, second := op, op
				first.SizeBytes, second.SizeBytes = 512, op.SizeBytes-512
				m.Targets[0].Ops = slices.Insert(m.Targets[0].Ops, 4, second)
				m.Targets[0].Ops[3] = first
			})
		}, fault.Unsupported, "no whole blocks"},
		{"another UKI size", func(s *site) { s.rel.Release.Artifacts[0].SizeBytes++ }, fault.Corrupt, "release.json says"},
		{"no UKI in the release", func(s *site) { s.rel.Release.Artifacts = nil }, fault.NotFound, "no uki artifact"},
		{"a release without a root hash", func(s *site) { s.rel.Release.Root.Hash = "" }, fault.Invalid, "root hash"},
		{"the release that runs", func(s *site) { s.rel = releases.Of("1.1.0") }, fault.Conflict, "is the one that runs"},
		{"a root that is too large", func(s *site) { s.rel = made(s.t, "1.2.0", rootBlocks+1, ukiBytes) }, fault.Exhausted, "root needs"},
		{"a UKI that is too large", func(s *site) { s.rel = made(s.t, "1.2.0", rootBlocks, espBytes-ukiBytes) }, fault.Exhausted, "boot entry needs"},
		{"a version like a counter", func(s *site) { s.rel = made(s.t, "1.2.0+3", rootBlocks, ukiBytes) }, fault.Unsupported, "boot counter"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.rel.Release.Artifacts = slices.Clone(s.rel.Release.Artifacts)
			c.change(s)
			before, files := s.Power.Writes(), s.ESP.Describe()
			if err := s.run(s.rel); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
			if s.Power.Writes() != before || s.ESP.Describe() != files {
				t.Errorf("%d writes, files %s, before %s", s.Power.Writes()-before, s.ESP.Describe(), files)
			}
		})
	}
}

func made(t *testing.T, version string, blocks, ukiBytes int) *bootsim.Release {
	t.Helper()
	r, err := bootsim.NewRelease(version, blocks, ukiBytes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
