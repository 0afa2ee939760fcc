package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/cli"
)

// imageFolder makes an image as far as its list of packages goes.
func imageFolder(t *testing.T, version, tool string) string {
	t.Helper()
	folder := t.TempDir()
	text := `{"app": "conifer-os", "version": "` + version + `", "arch": "amd64", "created": "2026-03-01T04:00:00Z",
		"packages": [{"name": "base", "version": "1", "source": "base"}, {"name": "libtool1", "version": "` + tool + `", "source": "tool"}]}`
	if err := os.WriteFile(filepath.Join(folder, "image.json"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return folder
}

// toolPackage builds libtool1 2-1 with Debian's own tool; its changelog has one fix since 1-1.
func toolPackage(t *testing.T) string {
	t.Helper()
	tree, folder := t.TempDir(), t.TempDir()
	trailer := "\n\n -- A <a@example.org>  Mon, 02 Mar 2026 10:00:00 +0100\n\n"
	var log bytes.Buffer
	zip := gzip.NewWriter(&log)
	zip.Write([]byte("tool (2-1) trixie; urgency=high\n\n  * CVE-2026-1000" + trailer + "tool (1-1) trixie; urgency=low\n\n  * CVE-2025-1000" + trailer))
	zip.Close()
	for name, text := range map[string]string{
		"DEBIAN/control": "Package: libtool1\nSource: tool\nVersion: 2-1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n",
		"usr/share/doc/libtool1/changelog.Debian.gz": log.String(),
	} {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.Command("dpkg-deb", "--build", tree, folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return folder
}

func TestImageDiff(t *testing.T) {
	before, after, debs := imageFolder(t, "1.0.0", "1-1"), imageFolder(t, "1.1.0", "2-1"), toolPackage(t)
	cases := []struct {
		name, args string
		code       int
		want       string // of stdout, or in stderr
	}{
		{"with packages", "image diff " + before + " " + after + " --debs " + debs, 0,
			"1 packages changed (1 upgraded, 0 added, 0 removed), 1 CVE ids fixed\n\nSOURCE  OLD  NEW  PACKAGES  CVES\ntool    1-1  2-1  1         1  CVE-2026-1000\n"},
		{"without", "image diff " + before + " " + after, 0,
			"1 packages changed (1 upgraded, 0 added, 0 removed), CVE ids unknown without --debs\n\nSOURCE  OLD  NEW  PACKAGES  CVES\ntool    1-1  2-1  1         ?\n"},
		{"backwards", "image diff " + after + " " + before + " --debs " + debs, 0,
			"1 packages changed (0 upgraded, 0 added, 0 removed, 1 downgraded), 0 CVE ids fixed\n\nSOURCE  OLD  NEW  PACKAGES  CVES\ntool    2-1  1-1  1         ?  (no changelog was found)\n"},
		{"the same", "image diff " + before + " " + before, 0, "0 packages changed (0 upgraded, 0 added, 0 removed), CVE ids unknown without --debs\n"},
		{"as JSON", "image diff --json " + before + " " + after + " --debs " + debs, 0,
			`{"upgraded":1,"downgraded":0,"added":0,"removed":0,"cves":["CVE-2026-1000"],"sources":[{"source":"tool","old":"1-1","new":"2-1",` +
				`"packages":[{"package":"libtool1","old":"1-1","new":"2-1"}],"cves":["CVE-2026-1000"]}]}` + "\n"},
		{"one folder", "image diff " + before, 2, "conifer image diff needs the newer folder"},
		{"no image", "image diff " + before + " " + debs, 1, "holds neither image.json nor release.json"},
		{"no packages", "image diff " + before + " " + after + " --debs " + before, 1, "holds no .deb files"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var out, talk bytes.Buffer
			code := Run(t.Context(), cli.Env{Args: strings.Fields(c.args), Stdout: &out, Stderr: &talk, Getenv: emptyCache(t)})
			if code != c.code || code == 0 && out.String() != c.want || code != 0 && !strings.Contains(talk.String(), c.want) {
				t.Errorf("exit %d\n%s%s\nwant %d\n%s", code, out.String(), talk.String(), c.code, c.want)
			}
		})
	}
}

func TestImageSBOM(t *testing.T) {
	var out, talk bytes.Buffer
	args := []string{"image", "sbom", imageFolder(t, "1.1.0", "2-1"), "--distro", "debian-12"}
	if code := Run(t.Context(), cli.Env{Args: args, Stdout: &out, Stderr: &talk, Getenv: emptyCache(t)}); code != 0 {
		t.Fatalf("exit %d: %s", code, talk.String())
	}
	for _, want := range []string{`"specVersion": "1.6"`, `"purl": "pkg:deb/debian/libtool1@2-1?distro=debian-12&upstream=tool"`, `"purl": "pkg:deb/debian/base@1?distro=debian-12"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %s:\n%s", want, out.String())
		}
	}
}

// emptyCache is an environment in which no image was ever built.
func emptyCache(t *testing.T) func(string) string {
	folder := t.TempDir()
	return func(name string) string {
		if name == "XDG_CACHE_HOME" {
			return folder
		}
		return ""
	}
}
