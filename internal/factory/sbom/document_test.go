package sbom

import (
	"bytes"
	"strings"
	"testing"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"conifer.dev/conifer/internal/wire/release"
)

var created = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func TestPURL(t *testing.T) {
	for line, want := range map[string]string{
		"tool 1.0-1 tool":                            "pkg:deb/debian/tool@1.0-1?distro=debian-13",
		"libstdc++6 14.2.0-19 gcc-14":                "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?distro=debian-13&upstream=gcc-14",
		"libssl3 1:3.0.22-1~deb12u2+b1 openssl":      "pkg:deb/debian/libssl3@1:3.0.22-1~deb12u2%2Bb1?distro=debian-13&upstream=openssl",
		"linux-image-amd64 6.1.2-1 linux-signed-x86": "pkg:deb/debian/linux-image-amd64@6.1.2-1?distro=debian-13&upstream=linux-signed-x86",
	} {
		if got := PURL(packages(line)[0], "debian-13"); got != want {
			t.Errorf("%s: got %s", line, got)
		}
	}
}

func TestDocument(t *testing.T) {
	s := Subject{App: "conifer-os", Version: "1.1.0", Arch: "amd64", Created: created, Root: release.Root{Hash: strings.Repeat("ab", 32)},
		Packages: packages("libtool1 1.0-1 tool", "tool 1.0-1 tool")}
	var first, second bytes.Buffer
	check(t, Document(&first, s, "debian-13"))
	check(t, Document(&second, s, "debian-13"))
	if first.String() != second.String() {
		t.Error("the same subject gives other bytes")
	}
	var bom cyclonedx.BOM
	check(t, cyclonedx.NewBOMDecoder(&first, cyclonedx.BOMFileFormatJSON).Decode(&bom))
	if bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.Metadata.Component.Version != "1.1.0" || bom.Metadata.Timestamp != "2026-03-01T04:00:00Z" {
		t.Errorf("got %+v", bom.Metadata)
	}
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		refs[c.BOMRef] = c.PackageURL == c.BOMRef && c.Name != "" && c.Version == "1.0-1"
	}
	if len(refs) != 2 || !refs["pkg:deb/debian/libtool1@1.0-1?distro=debian-13&upstream=tool"] {
		t.Errorf("components are %v", refs)
	}
}
