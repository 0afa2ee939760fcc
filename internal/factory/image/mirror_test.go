package image

import (
	"testing"
	"testing/fstest"

	"conifer.dev/conifer/internal/fault"
)

func TestHostMirrors(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	cases := []struct {
		name string
		apt  fstest.MapFS
		want Mirrors
	}{
		{"one-line style", fstest.MapFS{"sources.list": file(`# deb http://old.example/debian bullseye main
deb-src http://src.example/debian trixie main
deb [signed-by=/usr/share/keyrings/x.gpg arch=amd64] http://near.example/debian/ trixie main # ours
deb http://near.example/debian-security trixie-security main
`)}, Mirrors{"http://near.example/debian", "http://near.example/debian-security"}},
		{"deb822, several URIs and a continued field", fstest.MapFS{
			"sources.list.d/other.sources": file("Types: deb\nURIs: https://tools.example/apt\nSuites: any\n"),
			"sources.list.d/debian.sources": file(`Types: deb deb-src
# a comment
URIs: http://a.example/debian
 http://b.example/debian
Suites: bookworm bookworm-updates

Types: deb
URIs: http://a.example/x/debian-security/
Suites: bookworm-security
`)}, Mirrors{"http://a.example/debian", "http://a.example/x/debian-security"}},
		{"disabled and renamed files do not count", fstest.MapFS{
			"sources.list.d/a.sources":          file("Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: trixie\n"),
			"sources.list.d/b.sources.disabled": file("Types: deb\nURIs: http://gone.example/debian\nSuites: trixie\n"),
			"sources.list.d/c.list":             file("deb http://on.example/debian trixie main\n"),
		}, Mirrors{"http://on.example/debian", "http://on.example/debian-security"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := HostMirrors(c.apt)
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestHostWithoutMirrorIsToldWhatToDo(t *testing.T) {
	_, err := HostMirrors(fstest.MapFS{"sources.list": {Data: []byte("deb http://ubuntu.example/ubuntu noble main\n")}})
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Errorf("got %v with hint %q", err, fault.HintOf(err))
	}
}

func TestMirrorAtHasItsSecurityArchiveBeside(t *testing.T) {
	want := Mirrors{"http://m.example/pub/debian", "http://m.example/pub/debian-security"}
	if got := MirrorAt("http://m.example/pub/debian/"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestIndexDate(t *testing.T) {
	date, err := indexDate([]byte("Hash: SHA256\n\nOrigin: Debian\nDate: Sat, 09 Aug 2025 09:17:07 UTC\nAcquire-By-Hash: yes\n"))
	if err != nil || date.Unix() != 1754731027 {
		t.Errorf("got %v, %v", date, err)
	}
	if _, err := indexDate([]byte("Origin: Debian\n")); !fault.Is(err, fault.Invalid) {
		t.Errorf("an index without a date gave %v", err)
	}
}
