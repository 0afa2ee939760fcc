package omaha

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seeds adds the vectors of a kind to the corpus in testdata/fuzz.
func seeds(f *testing.F, pattern string) {
	names, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(names) == 0 {
		f.Fatalf("no vectors %s: %v", pattern, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

func FuzzParseRequest(f *testing.F) {
	seeds(f, "*.request.xml")
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRequest(text)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("a parsed request does not encode: %v", err)
		}
		if len(again) > MaxRequestBytes {
			return // escaping made it longer than a request may be
		}
		back, err := ParseRequest(again)
		if err != nil {
			t.Fatalf("an encoded request does not parse: %v\n%s", err, again)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	seeds(f, "*.response.xml")
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseResponse(text)
		if err != nil {
			return
		}
		again := r.AppendTo(nil)
		if len(again) > MaxResponseBytes {
			return
		}
		back, err := ParseResponse(again)
		if err != nil {
			t.Fatalf("an encoded response does not parse: %v\n%s", err, again)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Error(diff)
		}
	})
}
