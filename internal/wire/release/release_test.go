package release

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

func sample() *Release {
	digest := strings.Repeat("ab", 32)
	return &Release{
		Format: Format, App: "conifer-os", Version: "1.1.0", Arch: "amd64",
		Created:   time.Unix(1_700_000_000, 0).UTC(),
		Root:      Root{Hash: digest, Salt: "00ff", SizeBytes: 8192},
		Payload:   Payload{Name: "full.payload", SizeBytes: 100, SHA256: digest, ManifestSizeBytes: 10, ManifestSHA256: digest},
		Artifacts: []Artifact{{Name: "conifer_1.1.0.efi", Kind: KindUKI, SizeBytes: 3, SHA256: digest}},
		Packages:  []Package{{Name: "systemd", Version: "257.8-1", Source: "systemd"}},
	}
}

func TestRoundTrip(t *testing.T) {
	text, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), back); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	text, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	cases := []struct {
		name, old, new string
		kind           fault.Kind
		message        string
	}{
		{"another format", `"format": 1`, `"format": 2`, fault.Unsupported, "format 2"},
		{"unknown field", `"app"`, `"color": 1, "app"`, fault.Invalid, "color"},
		{"climbing name", "full.payload", "../full.payload", fault.Invalid, "payload name"},
		{"climbing artifact", "conifer_1.1.0.efi", "../../x", fault.Invalid, "artifact"},
		{"climbing version", "1.1.0", "..", fault.Invalid, "version"},
		{"short digest", strings.Repeat("ab", 32), "abab", fault.Invalid, "32 bytes"},
		{"odd size", "8192", "8193", fault.Invalid, "4096"},
		{"manifest beyond payload", `"manifest_size_bytes": 10`, `"manifest_size_bytes": 101`, fault.Invalid, "manifest size"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(strings.ReplaceAll(good, c.old, c.new)))
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.message)
			}
		})
	}
	if _, err := Parse(append(text, "{}"...)); err == nil {
		t.Error("data after the end was accepted")
	}
}

func TestCompareFollowsTheVersionFormatSpecification(t *testing.T) {
	pairs := [][2]string{
		{"1.0~rc1", "1.0"}, {"1.0.0", "1.1.0"}, {"1.9.9", "1.10.0"}, {"122.1", "123~rc1-1"}, {"123~rc1-1", "123"},
		{"123", "123-a"}, {"123-a", "123-a.1"}, {"123-a.1", "123-a1"}, {"123a-1", "124-1"}, {"123-3", "123-3.1"},
		{"2026.11.1", "2026.11.2"}, {"1.0.0", "1.0.0+nightly"}, {"1.0", "1.0.0"},
	}
	for _, p := range pairs {
		if Compare(p[0], p[1]) >= 0 || Compare(p[1], p[0]) <= 0 {
			t.Errorf("%q is not older than %q (%d, %d)", p[0], p[1], Compare(p[0], p[1]), Compare(p[1], p[0]))
		}
	}
	if Compare("1.01", "1.1") != 0 || Compare("1.1.0", "1.1.0") != 0 {
		t.Error("equal versions differ")
	}
}

func FuzzParse(f *testing.F) {
	text, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("a parsed release does not encode: %v", err)
		}
		back, err := Parse(again)
		if err != nil {
			t.Fatalf("an encoded release does not parse: %v", err)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0.0", "1.1.0")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Compare(a, b), Compare(b, a)
		if (x < 0) != (y > 0) || (x == 0) != (y == 0) {
			t.Errorf("Compare(%q, %q) = %d, reversed %d", a, b, x, y)
		}
	})
}
