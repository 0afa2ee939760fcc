package image

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// moduleTables is what depmod knows of a kernel's modules.
type moduleTables struct {
	needs   map[string][]string // file -> files it needs, the nearest first
	files   map[string]string   // name -> file
	builtin map[string]bool     // names
	aliases []string            // lines of modules.alias
}

// readModuleTables reads modules.dep, modules.builtin and modules.alias of a folder in /usr/lib/modules.
func readModuleTables(folder fs.FS) (*moduleTables, error) {
	t := &moduleTables{needs: map[string][]string{}, files: map[string]string{}, builtin: map[string]bool{}}
	var texts [3]string
	for i, name := range []string{"modules.dep", "modules.builtin", "modules.alias"} {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		texts[i] = string(text)
	}
	for _, line := range lines(texts[0]) {
		file, needs, _ := strings.Cut(line, ":")
		t.needs[file] = strings.Fields(needs)
		t.files[moduleName(file)] = file
	}
	for _, line := range lines(texts[1]) {
		t.builtin[moduleName(line)] = true
	}
	t.aliases = lines(texts[2])
	return t, nil
}

// moduleName is what the kernel calls the module in a file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// initrdModules is a part of a kernel's modules, with the tables cut down to it.
type initrdModules struct {
	files   []string // sorted
	load    []string // names, in order
	dep     string   // modules.dep
	aliases string   // modules.alias
}

// choose takes the modules that the wishes ask for: lines "load NAME", "probe NAME" or "carry NAME". What is
// built into the kernel needs no file; what it does not know at all is an error.
func (t *moduleTables) choose(wishes []string) (*initrdModules, error) {
	chosen := &initrdModules{}
	var probed []string
	for _, wish := range wishes {
		how, name, _ := strings.Cut(wish, " ")
		if !slices.Contains([]string{"load", "probe", "carry"}, how) {
			return nil, fault.New(fault.Invalid, "line %q of the initrd's modules begins with none of load, probe, carry", wish)
		}
		if t.builtin[name] {
			continue
		}
		file, ok := t.files[name]
		if !ok {
			return nil, fault.New(fault.NotFound, "the kernel has no module %s", name)
		}
		chosen.files = append(append(chosen.files, file), t.needs[file]...)
		switch how {
		case "load":
			chosen.load = append(chosen.load, name)
		case "probe":
			probed = append(probed, name)
		}
	}
	slices.Sort(chosen.files)
	chosen.files = slices.Compact(chosen.files)
	chosen.tables(t, probed)
	return chosen, nil
}

// tables cuts depmod's tables down to the chosen files. Aliases stand in the order of the wishes, which is the
// order in which the initrd tries drivers.
func (m *initrdModules) tables(t *moduleTables, probed []string) {
	for _, file := range m.files {
		m.dep += fmt.Sprintf("%s: %s\n", file, strings.Join(t.needs[file], " "))
	}
	for _, name := range probed {
		for _, alias := range t.aliases {
			if fields := strings.Fields(alias); len(fields) == 3 && fields[2] == name {
				m.aliases += alias + "\n"
			}
		}
	}
}
