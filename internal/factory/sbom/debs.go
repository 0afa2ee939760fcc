package sbom

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Debs is a folder of Debian packages, such as the cache that an image was built from.
type Debs struct {
	files map[[2]string]string // name and version -> path
	names map[string][]control // by name
}

// OpenDebs reads what the packages below the folder say of themselves. Their file names are not trusted to: apt and
// archives write versions in different ways.
func OpenDebs(folder string) (*Debs, error) {
	d := &Debs{map[[2]string]string{}, map[string][]control{}}
	err := filepath.WalkDir(folder, func(file string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(file, ".deb") {
			return err
		}
		return d.add(file)
	})
	if err != nil {
		return nil, fmt.Errorf("read packages in %s: %w", folder, err)
	}
	if len(d.files) == 0 {
		return nil, fault.New(fault.NotFound, "%s holds no .deb files", folder)
	}
	return d, nil
}

func (d *Debs) add(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := readControl(f)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	d.files[[2]string{c.name, c.version}] = file
	d.names[c.name] = append(d.names[c.name], c)
	return nil
}

// maxLinks is how many packages a documentation folder may be passed on through.
const maxLinks = 4

// Changelog is a [Changelogs].
func (d *Debs) Changelog(pkg release.Package) ([]byte, error) {
	name, version := pkg.Name, pkg.Version
	for range maxLinks {
		docs, err := d.documents(name, version)
		switch {
		case err != nil:
			return nil, err
		case docs.debian != nil:
			return docs.debian, nil
		case docs.native != nil:
			return docs.native, nil
		case docs.link == "":
			return nil, fault.New(fault.NotFound, "package %s %s has no changelog", name, version)
		}
		if name, version, err = d.sibling(docs.link, pkg); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.NotFound, "documentation of package %s is passed on in a circle", pkg.Name)
}

func (d *Debs) documents(name, version string) (documents, error) {
	file, ok := d.files[[2]string{name, version}]
	if !ok {
		return documents{}, fault.New(fault.NotFound, "package %s %s is not in the folder", name, version)
	}
	f, err := os.Open(file)
	if err != nil {
		return documents{}, err
	}
	defer f.Close()
	docs, err := readDocuments(f, name)
	if err != nil {
		return documents{}, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return docs, nil
}

// sibling finds the package that a link leads to: one of the same source, and of the same version if there are
// several. Debian allows such links between packages of one source only.
func (d *Debs) sibling(name string, pkg release.Package) (string, string, error) {
	version := ""
	for _, c := range d.names[name] {
		if c.source == pkg.Source && (version == "" || c.version == pkg.Version) {
			version = c.version
		}
	}
	if version == "" {
		return "", "", fault.New(fault.NotFound, "package %s has its documentation in %s, which is not in the folder", pkg.Name, name)
	}
	return name, version, nil
}
