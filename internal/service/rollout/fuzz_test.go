package rollout

import (
	"testing"

	"conifer.dev/conifer/internal/fault"
)

// fuzz holds a parser to its word: what it takes has one text that it takes again, what it refuses is told with an example.
func fuzz(f *testing.F, part string) {
	parse := parsers[part]
	f.Fuzz(func(t *testing.T, text string) {
		canonical, err := parse(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
				t.Fatalf("%q is refused with %v", text, err)
			}
			return
		}
		if again, err := parse(canonical); err != nil || again != canonical {
			t.Fatalf("%q is %q, which is %q, %v", text, canonical, again, err)
		}
	})
}

func FuzzParsePlan(f *testing.F)     { fuzz(f, "percent") }
func FuzzParseRate(f *testing.F)     { fuzz(f, "rate") }
func FuzzParseBudget(f *testing.F)   { fuzz(f, "budget") }
func FuzzParseWindow(f *testing.F)   { fuzz(f, "window") }
func FuzzParseDuration(f *testing.F) { fuzz(f, "duration") }
