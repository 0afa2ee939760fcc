package slots

import (
	"testing"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/wire/release"
)

func TestEntryNames(t *testing.T) {
	cases := map[string]entryName{
		"conifer_1.1.0.efi":             {version: "1.1.0"},
		"conifer_1.1.0+3.efi":           {version: "1.1.0", counted: true, left: 3},
		"conifer_1.1.0+2-1.efi":         {version: "1.1.0", counted: true, left: 2, done: 1},
		"conifer_1.1.0+0-3.efi":         {version: "1.1.0", counted: true, done: 3},
		"conifer_1.1.0+03-01.efi":       {version: "1.1.0", counted: true, left: 3, done: 1},
		"conifer_1.0.0~rc1-2+1-2.efi":   {version: "1.0.0~rc1-2", counted: true, left: 1, done: 2},
		"conifer_1.0.0+nightly.efi":     {version: "1.0.0+nightly"},
		"conifer_1.0.0+nightly+2.efi":   {version: "1.0.0+nightly", counted: true, left: 2},
		"conifer_1.0.0+3x.efi":          {version: "1.0.0+3x"},
		"conifer_1.0.0+3-.efi":          {version: "1.0.0+3-"},
		"conifer_1.0.0+99999999999.efi": {version: "1.0.0+99999999999"},
	}
	for file, want := range cases {
		if got, ok := parseEntryName(file); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", file, got, ok, want)
		}
	}
	for _, file := range []string{"", "conifer_.efi", "conifer_+3.efi", "conifer_1.0.0", "conifer_1.0.0.EFI", "xconifer_1.0.0.efi", "conifer_1/0.efi", "conifer_..efi"} {
		if got, ok := parseEntryName(file); ok {
			t.Errorf("%q is an entry: %+v", file, got)
		}
	}
}

func TestEntryPattern(t *testing.T) {
	for version, want := range map[string]string{
		"1.0.0": "conifer_1.0.0.efi", "1.0.0-RC1.b": "conifer_1.0.0-??1.b.efi", "1.0.0+nightly": "conifer_1.0.0+nightly.efi",
	} {
		if got := EntryPattern(version); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

func TestEntryNamesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){0,3}([.+~-][0-9A-Za-z.~+-]{0,10})?`)
		legal := func(version string) bool { return CheckVersion(version) == nil }
		n := entryName{version: versions.Filter(legal).Draw(t, "version")}
		if rapid.Bool().Draw(t, "counted") {
			n.counted, n.left, n.done = true, rapid.IntRange(0, 100).Draw(t, "left"), rapid.IntRange(0, 100).Draw(t, "done")
		}
		if got, ok := parseEntryName(n.String()); !ok || got != n {
			t.Errorf("%+v is %s, which reads %+v, %v", n, n, got, ok)
		}
	})
}

func FuzzParseEntryName(f *testing.F) {
	f.Add("conifer_1.1.0+2-1.efi")
	f.Fuzz(func(t *testing.T, file string) {
		n, ok := parseEntryName(file)
		if !ok {
			return
		}
		if !release.ValidVersion(n.version) || n.left < 0 || n.done < 0 {
			t.Errorf("%q is %+v", file, n)
		}
		// Leading zeros are lost; everything else is not.
		if again, ok := parseEntryName(n.String()); !ok || again != n {
			t.Errorf("%q is %+v, written %s, which is %+v", file, n, n, again)
		}
	})
}
