package image

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/wire/release"
)

// installed reads dpkg's status file: the packages that are installed, sorted by name.
func installed(status string) []release.Package {
	var list []release.Package
	for stanza := range strings.SplitSeq(status, "\n\n") {
		f := parseStanza(stanza)
		if !strings.HasSuffix(f["status"], " installed") {
			continue
		}
		source, _, _ := strings.Cut(f["source"], " ") // "glibc (2.41-12)" where the versions differ
		if source == "" {
			source = f["package"]
		}
		list = append(list, release.Package{Name: f["package"], Version: f["version"], Source: source})
	}
	slices.SortFunc(list, func(a, b release.Package) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// remaining keeps the packages of which the finished root still holds a file. The others' bugs are not
// in the image, and a scanner should not report them.
func remaining(list []release.Package, database, root, arch string) ([]release.Package, error) {
	var kept []release.Package
	for _, p := range list {
		files, err := packageFiles(database, p.Name, arch)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(files, func(name string) bool { return isFile(filepath.Join(root, name)) }) {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// packageFiles reads dpkg's list of the files of a package. Packages for several architectures have it under name:arch.
func packageFiles(database, name, arch string) ([]string, error) {
	for _, base := range []string{name, name + ":" + arch} {
		f, err := os.Open(filepath.Join(database, "info", base+".list"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		var files []string
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			files = append(files, lines.Text())
		}
		return files, lines.Err()
	}
	return nil, &fs.PathError{Op: "find the files of", Path: name, Err: fs.ErrNotExist}
}

// isFile is true for anything but a folder. It follows links, because dpkg knows /lib/x where the root has
// /usr/lib/x.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}
