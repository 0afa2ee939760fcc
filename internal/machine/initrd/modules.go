package initrd

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/fault"
)

// moduleFolder holds the modules of this initrd with depmod's tables, cut down to them, and loadList.
const moduleFolder = "/modules"

// loadList names the modules that every machine needs, one to a line, in order.
const loadList = "modules.load"

// modules knows which file a module is, what it needs first, and which hardware it is for.
type modules struct {
	files   fs.FS
	paths   map[string]string   // name -> file
	needs   map[string][]string // name -> files, to be loaded in this order before its own
	aliases [][2]string         // pattern of a modalias, name
	loaded  map[string]bool     // files
	insert  func(fs.FS, string) error
}

func openModules(files fs.FS) (*modules, error) {
	m := &modules{files: files, paths: map[string]string{}, needs: map[string][]string{}, loaded: map[string]bool{}, insert: insertModule}
	if err := eachLine(files, "modules.dep", m.readDependency); err != nil {
		return nil, err
	}
	return m, eachLine(files, "modules.alias", m.readAlias)
}

func eachLine(files fs.FS, name string, use func(string)) error {
	f, err := files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			use(line)
		}
	}
	return lines.Err()
}

// readDependency takes a line "file: direct-need … last-need", which depmod writes from the nearest to the
// farthest.
func (m *modules) readDependency(line string) {
	file, rest, _ := strings.Cut(line, ":")
	name := moduleName(file)
	m.paths[name] = file
	for need := range strings.FieldsSeq(rest) {
		m.needs[name] = append([]string{need}, m.needs[name]...)
	}
}

// readAlias takes a line "alias pattern name".
func (m *modules) readAlias(line string) {
	if words := strings.Fields(line); len(words) == 3 && words[0] == "alias" {
		m.aliases = append(m.aliases, [2]string{words[1], words[2]})
	}
}

// moduleName is what the kernel calls the module in a file: it knows no dashes.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}

// load loads a module by name after all that it needs.
func (m *modules) load(name string) error {
	file, ok := m.paths[name]
	if !ok {
		return fault.New(fault.NotFound, "the initrd has no module %s", name)
	}
	for _, file := range append(m.needs[name], file) {
		if m.loaded[file] {
			continue
		}
		if err := m.insert(m.files, file); err != nil {
			return err
		}
		m.loaded[file] = true
	}
	return nil
}

// nextFor is the first module, in the order of the aliases, that is not loaded and is for one of the devices.
func (m *modules) nextFor(modaliases []string) (name string, ok bool) {
	for _, alias := range m.aliases {
		if m.loaded[m.paths[alias[1]]] {
			continue
		}
		for _, device := range modaliases {
			if match, _ := path.Match(alias[0], device); match {
				return alias[1], true
			}
		}
	}
	return "", false
}

// loadModules loads what every machine needs. The drivers of the disk come when findRoot looks for it.
func (b *boot) loadModules() (err error) {
	b.modules, err = openModules(os.DirFS(moduleFolder))
	if err != nil {
		return err
	}
	var failed error
	err = eachLine(b.modules.files, loadList, func(name string) { failed = errors.Join(failed, b.modules.load(name)) })
	return errors.Join(err, failed)
}

// loadDriver loads one module for the devices that are there now, the likeliest to have the root first, and reports
// whether there was one. Devices behind a bus appear only after its own driver.
func (b *boot) loadDriver() (bool, error) {
	found, err := filepath.Glob(b.system.path("sys/bus/*/devices/*/modalias"))
	if err != nil {
		return false, err
	}
	var modaliases []string
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err == nil { // else the device has gone
			modaliases = append(modaliases, strings.TrimSpace(string(text)))
		}
	}
	name, ok := b.modules.nextFor(modaliases)
	if !ok {
		return false, nil
	}
	if err := b.modules.load(name); err != nil {
		say(levelAlert, "load %s: %v", name, err)
		b.modules.loaded[b.modules.paths[name]] = true // Another driver may do.
	}
	return true, nil
}

// insertModule gives one file to the kernel. ENODEV is a driver that found nothing to do.
func insertModule(files fs.FS, name string) error {
	f, err := files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	file, ok := f.(*os.File)
	if !ok {
		text, err := io.ReadAll(f)
		if err != nil {
			return err
		}
		return acceptModule(name, unix.InitModule(text, ""))
	}
	return acceptModule(name, unix.FinitModule(int(file.Fd()), "", 0))
}

func acceptModule(name string, err error) error {
	if err == nil || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return &fs.PathError{Op: "load", Path: name, Err: err}
}
