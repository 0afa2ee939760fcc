package image

import (
	"debug/elf"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// checkLibraries refuses a tree in which a program or library needs a shared library that is not there: what
// root/.remove takes away is decided by hand, and Debian's packages change.
func checkLibraries(folder string) error {
	present := map[string]bool{}
	needs := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(folder, "usr"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "modules" {
			return filepath.SkipDir
		}
		if strings.Contains(entry.Name(), ".so") {
			present[entry.Name()] = true
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		needs[file], err = neededBy(file)
		return err
	})
	if err != nil {
		return err
	}
	return missing(folder, present, needs)
}

// neededBy lists the libraries that an ELF file names; other files need none.
func neededBy(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	program, err := elf.NewFile(f)
	if err != nil {
		return nil, nil // a script or data
	}
	return program.ImportedLibraries()
}

func missing(folder string, present map[string]bool, needs map[string][]string) error {
	var list []string
	for file, libraries := range needs {
		for _, library := range libraries {
			if !present[path.Base(library)] {
				list = append(list, strings.TrimPrefix(file, folder+"/")+" needs "+library)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return fault.New(fault.Invalid, "%d libraries are missing: %s", len(list), strings.Join(list[:min(len(list), 5)], ", ")).
		WithHint("Take them out of os/root/.remove, or remove the programs that need them too.")
}
