package sbom

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

const trailer = " -- A Maintainer <a@example.org>  Mon, 02 Mar 2026 10:00:00 +0100\n\n"

const sample = `tool (1.2-3+deb13u2) trixie-security; urgency=high

  * Fix a heap overflow (CVE-2026-10001).
  * cve-2026-9999: double free; see also CVE-2026-10001
    and CVE-2026-100 and XCVE-2026-1234 and CVE-2026-12345678901.

` + trailer + `tool (1.2-3) unstable experimental; urgency=medium, binary-only=yes

  [ Somebody ]
  * New upstream version.

` + trailer + `tool (1.1-1) unstable; urgency=low

  * CVE-2024-0001

` + trailer

func TestParseChangelog(t *testing.T) {
	entries, err := ParseChangelog([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Source+" "+e.Version.String()+": "+strings.Join(e.CVEs(), " "))
	}
	want := []string{"tool 1.2-3+deb13u2: CVE-2026-9999 CVE-2026-10001", "tool 1.2-3: ", "tool 1.1-1: CVE-2024-0001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want := "  [ Somebody ]\n  * New upstream version."; entries[1].Text != want {
		t.Errorf("text is %q", entries[1].Text)
	}
}

func TestChangelogEndsWhereItsFormatEnds(t *testing.T) {
	for name, rest := range map[string]string{
		"editor":       "Local variables:\nmode: debian-changelog\nEnd:\n" + sample,
		"older format": "Mon Jan  1 10:00:00 1996  A Maintainer\n\n\t* CVE-1996-0001\n",
		"cut off":      "tool (0.9) unstable; urgency=low\n\n  * CVE-1996-0001\n",
		"no trailer":   "tool (0.9) unstable; urgency=low\n\n  * x\n\ntool (0.8) unstable; urgency=low\n\n  * x\n\n" + trailer,
		"bad version":  "tool (0_9) unstable; urgency=low\n\n  * x\n\n" + trailer,
		"comment":      "# Older entries were removed.\n",
	} {
		entries, err := ParseChangelog([]byte(sample + rest))
		if err != nil || len(entries) != 3 {
			t.Errorf("%s: %d entries, %v", name, len(entries), err)
		}
	}
}

func TestWhatIsNoChangelogIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"upstream's":      "Version 1.2\n===========\n* Fix CVE-2026-10001\n",
		"git's":           "commit 3f\nAuthor: a\n",
		"no trailer":      "tool (1.2) unstable; urgency=low\n\n  * x\n",
		"no distribution": "tool (1.2); urgency=low\n\n  * x\n\n" + trailer,
	} {
		if _, err := ParseChangelog([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseChangelog(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := ParseChangelog(text)
		if (err == nil) != (len(entries) > 0) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		for _, e := range entries {
			if e.Source == "" || e.Version.String() == "" {
				t.Errorf("entry without a name: %+v", e)
			}
			if ids := e.CVEs(); len(sortCVEs(ids)) != len(ids) {
				t.Errorf("ids repeat: %v", ids)
			}
		}
	})
}
