package sbom

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

func version(t testing.TB, text string) Version {
	t.Helper()
	v, err := ParseVersion(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVersionsInOrder(t *testing.T) {
	for _, line := range []string{
		"0~~ < 0~~a < 0~ < 0 < 0a < 0+",             // the manual's own example, behind a digit
		"1.0~rc1-1 < 1.0-1 < 1.0-1+deb13u1 < 1.0-2", // usual Debian
		"1.0 < 1.0-0+x < 1.0-0.1 < 1.0-1",
		"9.9 < 1:0.1 < 2:0",
		"1.2 < 1.10 < 1.10a < 1.10.1",
		"1.0 = 01.0 = 0:1.0 = 00:1.00",
		"1.0 = 1.0-0",
		"3.0.19-1~deb12u2 < 3.0.22-1~deb12u2 < 3.0.22-1",
		"6.1.192-1 < 6.1.192+2",
		"99999999999999999999 < 100000000000000000000",
		"1-1+ < 1a < 1b < 1ba < 1+",
		"1Z < 1a < 1.",
	} {
		words := strings.Fields(line)
		for i := 0; i+2 < len(words); i += 2 {
			a, b := version(t, words[i]), version(t, words[i+2])
			want := map[string]int{"<": -1, "=": 0}[words[i+1]]
			if got := a.Compare(b); got != want || b.Compare(a) != -want {
				t.Errorf("%s %s %s: got %d and %d", words[i], words[i+1], words[i+2], got, b.Compare(a))
			}
		}
	}
}

func TestWrongVersionsAreRefused(t *testing.T) {
	for _, bad := range []string{"", ":1", "x:1", "-1:1", "1:", "1-", "-1", "1 0", "1_0", "1:1:é", "1-ä", strings.Repeat("1", 300)} {
		if v, err := ParseVersion(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %+v, %v", bad, v, err)
		}
	}
}

// TestVersionsAsDpkgComparesThem asks the program that decides what apt installs.
func TestVersionsAsDpkgComparesThem(t *testing.T) {
	part := rapid.StringMatching(`[0-9]([0-9a-zA-Z.+~]{0,3}[0-9~]?){0,3}`)
	one := rapid.Custom(func(t *rapid.T) string {
		v := part.Draw(t, "upstream")
		if rapid.Bool().Draw(t, "has revision") {
			v += "-" + part.Draw(t, "revision")
		}
		if rapid.IntRange(0, 9).Draw(t, "has epoch") == 0 {
			v = rapid.SampledFrom([]string{"0:", "1:", "10:"}).Draw(t, "epoch") + v
		}
		return v
	})
	var pairs []string
	for i := range 400 {
		a := one.Example(i)
		b := one.Example(1000 + i)
		if i%2 == 0 && len(a) > 1 { // near relatives are the harder question
			b = a[:len(a)-1] + one.Example(2000 + i)[:1]
		}
		pairs = append(pairs, a+" "+b)
	}
	cmd := exec.Command("sh", "-c", `while read -r a b; do
		if dpkg --compare-versions "$a" lt "$b"; then echo -1
		elif dpkg --compare-versions "$a" eq "$b"; then echo 0
		else echo 1; fi; done`)
	cmd.Stdin = strings.NewReader(strings.Join(pairs, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	if len(answers) != len(pairs) {
		t.Fatalf("dpkg answered %d of %d", len(answers), len(pairs))
	}
	for i, pair := range pairs {
		a, b, _ := strings.Cut(pair, " ")
		if got := fmt.Sprint(version(t, a).Compare(version(t, b))); got != answers[i] {
			t.Errorf("%s against %s: got %s, dpkg says %s", a, b, got, answers[i])
		}
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("1:1.0~rc1-1+deb13u1", "1.0-1")
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := ParseVersion(a)
		if err != nil {
			return
		}
		w, err := ParseVersion(b)
		if err != nil {
			return
		}
		if v.Compare(v) != 0 || v.Compare(w) != -w.Compare(v) {
			t.Errorf("%q and %q: %d and %d", a, b, v.Compare(w), w.Compare(v))
		}
	})
}
