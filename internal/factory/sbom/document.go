package sbom

import (
	"io"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	packageurl "github.com/package-url/packageurl-go"

	"conifer.dev/conifer/internal/wire/release"
)

// Document writes the bill of materials of a subject. Distro is the distribution its packages come from, such as
// debian-13, by which scanners choose their advisories. Equal subjects give equal bytes.
func Document(w io.Writer, s Subject, distro string) error {
	bom := cyclonedx.NewBOM()
	image := cyclonedx.Component{
		BOMRef:  s.App + "@" + s.Version,
		Type:    cyclonedx.ComponentTypeOS,
		Name:    s.App,
		Version: s.Version,
		Properties: &[]cyclonedx.Property{
			{Name: "conifer:arch", Value: s.Arch},
			{Name: "conifer:root-hash", Value: s.Root.Hash},
		},
	}
	bom.Metadata = &cyclonedx.Metadata{Timestamp: s.Created.UTC().Format(time.RFC3339), Component: &image}
	components := []cyclonedx.Component{}
	for _, p := range s.Packages {
		components = append(components, component(p, distro))
	}
	bom.Components = &components
	return cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).
		SetPretty(true).SetEscapeHTML(false).
		EncodeVersion(bom, cyclonedx.SpecVersion1_6)
}

func component(p release.Package, distro string) cyclonedx.Component {
	url := PURL(p, distro)
	return cyclonedx.Component{
		BOMRef: url, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: url,
	}
}

// PURL is the package URL of a Debian package. It names the source too, because advisories are written for sources.
func PURL(p release.Package, distro string) string {
	qualifiers := map[string]string{"distro": distro}
	if p.Source != "" && p.Source != p.Name {
		qualifiers["upstream"] = p.Source
	}
	return packageurl.NewPackageURL(packageurl.TypeDebian, "debian", p.Name, p.Version, packageurl.QualifiersFromMap(qualifiers), "").ToString()
}
