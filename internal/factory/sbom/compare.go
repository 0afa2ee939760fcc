package sbom

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Report is what changed between two images.
type Report struct {
	Upgraded   int      `json:"upgraded"`
	Downgraded int      `json:"downgraded"`
	Added      int      `json:"added"`
	Removed    int      `json:"removed"`
	CVEs       []string `json:"cves"`    // named as fixed, by all sources together
	Sources    []Source `json:"sources"` // those that changed, by name
}

// Changed is how many packages are not what they were.
func (r Report) Changed() int { return r.Upgraded + r.Downgraded + r.Added + r.Removed }

// Source is what changed in the packages that are built from one source.
type Source struct {
	Name     string   `json:"source"`
	Old      string   `json:"old,omitempty"` // the newest version among its packages; empty when there was none
	New      string   `json:"new,omitempty"`
	Packages []Change `json:"packages"`
	CVEs     []string `json:"cves"`
	// Note says why CVEs may be incomplete; empty when every entry since the old version was read.
	Note string `json:"note,omitempty"`
}

// Change is one binary package. Old is empty for an added one, New for a removed one.
type Change struct {
	Package string `json:"package"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
}

// Changelogs returns the Debian changelog of a package of the newer image, as text. An error of kind NotFound says
// that there is none; it becomes a note in the report.
type Changelogs func(pkg release.Package) ([]byte, error)

// side is one of the two images, with versions taken apart.
type side struct {
	packages map[string]release.Package
	versions map[string]Version // by package
	newest   map[string]Version // by source
}

func newSide(packages []release.Package) (side, error) {
	s := side{map[string]release.Package{}, map[string]Version{}, map[string]Version{}}
	for _, p := range packages {
		v, err := ParseVersion(p.Version)
		if err != nil {
			return side{}, fmt.Errorf("package %s: %w", p.Name, err)
		}
		if p.Source == "" {
			p.Source = p.Name
		}
		s.packages[p.Name], s.versions[p.Name] = p, v
		if best, ok := s.newest[p.Source]; !ok || v.Compare(best) > 0 {
			s.newest[p.Source] = v
		}
	}
	return s, nil
}

// Compare reports what changed from the old packages to the new ones, by source. A kernel's package has its
// version in its name, so that it is removed and added as a package and yet upgraded as a source.
func Compare(old, new []release.Package, changelogs Changelogs) (Report, error) {
	before, err := newSide(old)
	if err != nil {
		return Report{}, fmt.Errorf("older image: %w", err)
	}
	after, err := newSide(new)
	if err != nil {
		return Report{}, fmt.Errorf("newer image: %w", err)
	}
	report := Report{CVEs: []string{}, Sources: []Source{}}
	bySource := report.changes(before, after)
	for _, name := range slices.Sorted(maps.Keys(bySource)) {
		source := Source{Name: name, Packages: bySource[name], CVEs: []string{}}
		source.Old, source.New = before.newest[name].String(), after.newest[name].String()
		if err := source.read(before, after, changelogs); err != nil {
			return Report{}, fmt.Errorf("changelog of %s: %w", name, err)
		}
		report.CVEs = append(report.CVEs, source.CVEs...)
		report.Sources = append(report.Sources, source)
	}
	report.CVEs = sortCVEs(report.CVEs)
	return report, nil
}

// changes counts the packages that differ and sorts them by source, as the newer image has it.
func (r *Report) changes(before, after side) map[string][]Change {
	bySource := map[string][]Change{}
	names := maps.Clone(before.packages)
	maps.Copy(names, after.packages)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before.versions[name]
		is, has := after.versions[name]
		switch {
		case !had:
			r.Added++
		case !has:
			r.Removed++
		case is.text == was.text:
			continue
		case is.Compare(was) < 0:
			r.Downgraded++
		default:
			r.Upgraded++
		}
		source := names[name].Source
		bySource[source] = append(bySource[source], Change{name, was.String(), is.String()})
	}
	return bySource
}

// read fills CVEs and Note from the first changelog of the source that tells about the packages' versions. All
// packages of a source carry the same one; but some have versions of their own, which it does not speak of.
func (s *Source) read(before, after side, changelogs Changelogs) error {
	if s.Old == "" || s.New == "" || s.Old == s.New {
		return nil // new here, gone, or only with other packages: nothing was fixed
	}
	s.Note = "no changelog was found"
	for _, name := range after.of(s.Name) {
		text, err := changelogs(after.packages[name])
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		entries, err := ParseChangelog(text)
		if err != nil {
			s.Note = err.Error()
			continue
		}
		if !speaksOf(entries[0], after.versions[name]) {
			s.Note = fmt.Sprintf("its changelog is for version %s, package %s has %s", entries[0].Version, name, after.versions[name])
			continue
		}
		old, ok := before.versions[name]
		if !ok {
			old = before.newest[s.Name]
		}
		s.collect(entries, old)
		return nil
	}
	return nil
}

// of returns the packages of a source, by name.
func (s side) of(source string) []string {
	var names []string
	for name, p := range s.packages {
		if p.Source == source {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// rebuild is what Debian appends to the version of a package that was only built again.
var rebuild = regexp.MustCompile(`\+b[0-9]+$`)

func withoutRebuild(v Version) Version {
	if bare, err := ParseVersion(rebuild.ReplaceAllString(v.text, "")); err == nil {
		return bare
	}
	return v
}

// speaksOf reports whether the changelog that begins with entry is about a package of the version. The source of a
// signed kernel writes the version 6.1.140-1 as 6.1.140+1, because it is a native package.
func speaksOf(entry Entry, v Version) bool {
	source := entry.Version.text
	if strings.HasPrefix(entry.Source, "linux-signed-") {
		if i := strings.LastIndexByte(source, '+'); i >= 0 {
			source = source[:i] + "-" + source[i+1:]
		}
	}
	return source == v.text || source == withoutRebuild(v).text
}

// collect gathers the ids in all entries newer than old, wherever they are: a changelog may join two branches.
func (s *Source) collect(entries []Entry, old Version) {
	old, reached := withoutRebuild(old), false
	s.Note = ""
	for _, e := range entries {
		if e.Version.Compare(old) > 0 {
			s.CVEs = append(s.CVEs, e.CVEs()...)
		} else {
			reached = true
		}
	}
	s.CVEs = sortCVEs(s.CVEs)
	if !reached {
		s.Note = fmt.Sprintf("its changelog begins with version %s, after %s", entries[len(entries)-1].Version, old)
	}
}
