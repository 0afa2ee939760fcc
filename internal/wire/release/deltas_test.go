package release

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

func sampleDeltas() *Deltas {
	one, two := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	return &Deltas{Format: DeltasFormat, App: "conifer-os", Version: "1.10.0", Arch: "amd64", Deltas: []Delta{
		{From: "1.8.0", Features: []string{"delta-1"}, Payload: Payload{Name: "from-1.8.0.payload", SizeBytes: 200, SHA256: one, ManifestSizeBytes: 20, ManifestSHA256: two}},
		{From: "1.9.0", Features: []string{"delta-1"}, Payload: Payload{Name: "from-1.9.0.payload", SizeBytes: 100, SHA256: two, ManifestSizeBytes: 10, ManifestSHA256: one}},
	}}
}

// The golden file is what docs/protocol/release.md describes: it is read, and written again byte for byte.
func TestDeltasGolden(t *testing.T) {
	golden, err := os.ReadFile("testdata/deltas.json")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDeltas(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleDeltas(), got); diff != "" {
		t.Error(diff)
	}
	text, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestDeltasAreFoundByTheVersionThatTheyAreFrom(t *testing.T) {
	d := sampleDeltas()
	if got, err := d.From("1.9.0"); err != nil || got.Name != "from-1.9.0.payload" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := d.From("1.7.0"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a release without a delta: got %v", err)
	}
	if got := DeltaName("1.9.0"); got != "from-1.9.0.payload" {
		t.Errorf("the file is called %s", got)
	}
}

func TestParseDeltasRefuses(t *testing.T) {
	text, err := sampleDeltas().Encode()
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, old, new string
		kind           fault.Kind
		message        string
	}{
		{"no JSON", "{", "[", fault.Invalid, "parse deltas.json"},
		{"another format", `"format": 1`, `"format": 2`, fault.Unsupported, "format 2"},
		{"unknown field", `"app"`, `"color": 1, "app"`, fault.Invalid, "color"},
		{"unknown field of a delta", `"from"`, `"color": 1, "from"`, fault.Invalid, "color"},
		{"climbing app", "conifer-os", "../os", fault.Invalid, `"../os"/"amd64"/"1.10.0"`},
		{"climbing arch", `"amd64"`, `".."`, fault.Invalid, `"conifer-os"/".."/"1.10.0"`},
		{"climbing version", `"1.10.0"`, `"../1"`, fault.Invalid, `"../1"`},
		{"climbing name", "from-1.9.0.payload", "../full.payload", fault.Invalid, `name "../full.payload" is not a plain name`},
		{"from no version", `"1.8.0"`, `"/1"`, fault.Invalid, "from is not of the form 1.2.3"},
		{"from itself", `"1.9.0"`, `"1.10.0"`, fault.Invalid, "from the release itself"},
		{"from twice", `"1.8.0"`, `"1.9.0"`, fault.Invalid, `"1.9.0" and "1.9.0" are not in ascending order`},
		{"name twice", "from-1.8.0.payload", "from-1.9.0.payload", fault.Invalid, `name "from-1.9.0.payload" is another's`},
		{"short digest", strings.Repeat("ab", 32), "abab", fault.Invalid, "32 bytes"},
		{"digest in capitals", strings.Repeat("ab", 32), strings.Repeat("AB", 32), fault.Invalid, "32 bytes"},
		{"manifest beyond the payload", `"manifest_size_bytes": 10`, `"manifest_size_bytes": 101`, fault.Invalid, "manifest size 101"},
		{"no manifest", `"manifest_size_bytes": 10`, `"manifest_size_bytes": 0`, fault.Invalid, "manifest size 0"},
		{"feature that is no word", `"delta-1"`, `"delta 1"`, fault.Invalid, `feature "delta 1"`},
	}
	for _, c := range cases {
		_, err := ParseDeltas([]byte(strings.ReplaceAll(string(text), c.old, c.new)))
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v (%v)", c.name, err, fault.KindOf(err))
		}
	}
	for _, after := range []string{"{}", "]", "x"} {
		if _, err := ParseDeltas(append(text[:len(text):len(text)], after...)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q after the end: got %v", after, err)
		}
	}
	many := sampleDeltas()
	for len(many.Deltas) <= maxDeltas {
		next := many.Deltas[len(many.Deltas)-1]
		next.From, next.Name = next.From+"0", "x"+next.Name
		many.Deltas = append(many.Deltas, next)
	}
	if _, err := many.Encode(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "65 deltas") {
		t.Errorf("too many: got %v", err)
	}
}

// TestEveryListOfDeltasRoundTrips draws lists that keep the rules.
func TestEveryListOfDeltasRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := sampleDeltas()
		versions := rapid.SliceOfNDistinct(rapid.StringMatching(`[0-9]\.[0-9]{1,2}(~rc[0-9])?`), 0, maxDeltas, rapid.ID).Draw(t, "versions")
		d.Deltas = d.Deltas[:0]
		for _, from := range versions {
			one := sampleDeltas().Deltas[0]
			one.From, one.Name = from, DeltaName(from)
			one.Features = rapid.SliceOf(rapid.StringMatching(`[a-z]{1,9}-[0-9]`)).Draw(t, "features")
			one.SizeBytes = rapid.Int64Range(20, 1<<40).Draw(t, "size")
			d.Deltas = append(d.Deltas, one)
		}
		d.Sort()
		text, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseDeltas(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, back); diff != "" {
			t.Fatal(diff)
		}
		for _, from := range versions {
			if one, err := back.From(from); err != nil || one.From != from {
				t.Fatalf("from %s: got %+v, %v", from, one, err)
			}
		}
	})
}

func FuzzParseDeltas(f *testing.F) {
	text, err := sampleDeltas().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ParseDeltas(text)
		if err != nil {
			return
		}
		again, err := d.Encode()
		if err != nil {
			t.Fatalf("a parsed list does not encode: %v", err)
		}
		back, err := ParseDeltas(again)
		if err != nil {
			t.Fatalf("an encoded list does not parse: %v", err)
		}
		if diff := cmp.Diff(d, back); diff != "" {
			t.Error(diff)
		}
	})
}
