package sbom

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// packages reads "name version source" lines.
func packages(lines ...string) []release.Package {
	var list []release.Package
	for _, line := range lines {
		f := strings.Fields(line)
		list = append(list, release.Package{Name: f[0], Version: f[1], Source: f[2]})
	}
	return list
}

// entry writes one entry of a changelog.
func entry(source, version, text string) string {
	return source + " (" + version + ") trixie; urgency=high\n\n  * " + text + "\n\n" + trailer
}

func library(texts map[string]string) Changelogs {
	return func(pkg release.Package) ([]byte, error) {
		text, ok := texts[pkg.Name]
		if !ok {
			return nil, fault.New(fault.NotFound, "no changelog of %s", pkg.Name)
		}
		return []byte(text), nil
	}
}

func TestCompare(t *testing.T) {
	tool := entry("tool", "1.3-1", "Fix CVE-2026-3 and CVE-2026-2000") + entry("tool", "1.2-1", "Fix CVE-2025-1111")
	cases := []struct {
		name     string
		old, new []release.Package
		texts    map[string]string
		counts   [4]int // upgraded, downgraded, added, removed
		want     []Source
	}{
		{
			name: "nothing", old: packages("tool 1.2-1 tool"), new: packages("tool 1.2-1 tool"),
			want: []Source{},
		},
		{
			name: "one source with two packages",
			old:  packages("libtool1 1.2-1 tool", "tool 1.2-1 tool"), new: packages("libtool1 1.3-1 tool", "tool 1.3-1 tool"),
			texts:  map[string]string{"tool": tool},
			counts: [4]int{2, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "1.2-1", New: "1.3-1", CVEs: []string{"CVE-2026-2000"},
				Packages: []Change{{"libtool1", "1.2-1", "1.3-1"}, {"tool", "1.2-1", "1.3-1"}}}},
		},
		{
			name: "a kernel, whose package has its version in its name",
			old:  packages("linux-image-6.1.0-55-amd64 6.1.190-1 linux-signed-amd64"), new: packages("linux-image-6.1.0-56-amd64 6.1.192-2 linux-signed-amd64"),
			texts: map[string]string{"linux-image-6.1.0-56-amd64": entry("linux-signed-amd64", "6.1.192+2", "Sign kernel from linux 6.1.192-2") +
				entry("linux", "6.1.192-1", "CVE-2026-1000") + entry("linux", "6.1.191-1", "CVE-2026-1001") + entry("linux", "6.1.190-1", "CVE-2026-1002")},
			counts: [4]int{0, 0, 1, 1},
			want: []Source{{Name: "linux-signed-amd64", Old: "6.1.190-1", New: "6.1.192-2", CVEs: []string{"CVE-2026-1000", "CVE-2026-1001"},
				Packages: []Change{{"linux-image-6.1.0-55-amd64", "6.1.190-1", ""}, {"linux-image-6.1.0-56-amd64", "", "6.1.192-2"}}}},
		},
		{
			name: "added and removed",
			old:  packages("gone 1 gone"), new: packages("fresh 1 fresh"),
			texts:  map[string]string{"fresh": entry("fresh", "1", "CVE-2026-1000")},
			counts: [4]int{0, 0, 1, 1},
			want: []Source{{Name: "fresh", New: "1", CVEs: []string{}, Packages: []Change{{"fresh", "", "1"}}},
				{Name: "gone", Old: "1", CVEs: []string{}, Packages: []Change{{"gone", "1", ""}}}},
		},
		{
			name: "a downgrade fixes nothing",
			old:  packages("tool 1.4-1 tool"), new: packages("tool 1.3-1 tool"), texts: map[string]string{"tool": tool},
			counts: [4]int{0, 1, 0, 0},
			want:   []Source{{Name: "tool", Old: "1.4-1", New: "1.3-1", CVEs: []string{}, Packages: []Change{{"tool", "1.4-1", "1.3-1"}}}},
		},
		{
			name: "a rebuild fixes nothing",
			old:  packages("tool 1.3-1+b1 tool"), new: packages("tool 1.3-1+b2 tool"), texts: map[string]string{"tool": tool},
			counts: [4]int{1, 0, 0, 0},
			want:   []Source{{Name: "tool", Old: "1.3-1+b1", New: "1.3-1+b2", CVEs: []string{}, Packages: []Change{{"tool", "1.3-1+b1", "1.3-1+b2"}}}},
		},
		{
			name: "no changelog at hand",
			old:  packages("tool 1.2-1 tool"), new: packages("tool 1.3-1 tool"),
			counts: [4]int{1, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "1.2-1", New: "1.3-1", CVEs: []string{}, Note: "no changelog was found",
				Packages: []Change{{"tool", "1.2-1", "1.3-1"}}}},
		},
		{
			name: "a shortened changelog",
			old:  packages("tool 1.1-1 tool"), new: packages("tool 1.3-1 tool"), texts: map[string]string{"tool": tool},
			counts: [4]int{1, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "1.1-1", New: "1.3-1", CVEs: []string{"CVE-2025-1111", "CVE-2026-2000"},
				Note: "its changelog begins with version 1.2-1, after 1.1-1", Packages: []Change{{"tool", "1.1-1", "1.3-1"}}}},
		},
		{
			name: "a package with versions of its own",
			old:  packages("libdev 2:1.02-1 tool"), new: packages("libdev 2:1.03-1 tool"), texts: map[string]string{"libdev": tool},
			counts: [4]int{1, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "2:1.02-1", New: "2:1.03-1", CVEs: []string{},
				Note: "its changelog is for version 1.3-1, package libdev has 2:1.03-1", Packages: []Change{{"libdev", "2:1.02-1", "2:1.03-1"}}}},
		},
		{
			name: "a package with versions of its own, beside one that has the source's",
			old:  packages("libdev 2:1.02-1 tool", "tool 1.2-1 tool"), new: packages("libdev 2:1.03-1 tool", "tool 1.3-1 tool"),
			texts:  map[string]string{"libdev": tool, "tool": tool},
			counts: [4]int{2, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "2:1.02-1", New: "2:1.03-1", CVEs: []string{"CVE-2026-2000"},
				Packages: []Change{{"libdev", "2:1.02-1", "2:1.03-1"}, {"tool", "1.2-1", "1.3-1"}}}},
		},
		{
			name: "an upstream history in place of a changelog",
			old:  packages("tool 1.2-1 tool"), new: packages("tool 1.3-1 tool"), texts: map[string]string{"tool": "Changes in 1.3: CVE-2026-1000\n"},
			counts: [4]int{1, 0, 0, 0},
			want: []Source{{Name: "tool", Old: "1.2-1", New: "1.3-1", CVEs: []string{},
				Note: "not a Debian changelog: its first entry has no title or no trailer", Packages: []Change{{"tool", "1.2-1", "1.3-1"}}}},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := Compare(c.old, c.new, library(c.texts))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.Sources); diff != "" {
				t.Error(diff)
			}
			if got := [4]int{r.Upgraded, r.Downgraded, r.Added, r.Removed}; got != c.counts {
				t.Errorf("counts are %v, want %v", got, c.counts)
			}
		})
	}
}

func TestCompareCountsAnIDOnce(t *testing.T) {
	r, err := Compare(packages("a 1 a", "b 1 b"), packages("a 2 a", "b 2 b"), library(map[string]string{
		"a": entry("a", "2", "CVE-2026-1000") + entry("a", "1", "x"), "b": entry("b", "2", "CVE-2026-1000 CVE-2025-9999") + entry("b", "1", "x"),
	}))
	if err != nil || cmp.Diff([]string{"CVE-2025-9999", "CVE-2026-1000"}, r.CVEs) != "" || r.Changed() != 2 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestCompareFailsRatherThanGuess(t *testing.T) {
	if _, err := Compare(packages("a 1_0 a"), nil, nil); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "older image: package a") {
		t.Errorf("wrong version: %v", err)
	}
	damaged := errors.New("damaged")
	_, err := Compare(packages("a 1 a"), packages("a 2 a"), func(release.Package) ([]byte, error) { return nil, damaged })
	if !errors.Is(err, damaged) {
		t.Errorf("damaged package: %v", err)
	}
}
