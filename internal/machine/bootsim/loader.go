package bootsim

import (
	"path"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/folder"
)

// onceVariable is the EFI variable by which systemd-boot is told what to start next.
const onceVariable = "LoaderEntryOneShot"

// Loader is what the agent can tell the boot loader.
type Loader struct{ machine *Machine }

// Loader is that of this machine.
func (m *Machine) Loader() Loader { return Loader{m} }

// Check refuses on a machine without EFI variables.
func (l Loader) Check() error {
	if l.machine.Variables == nil {
		return fault.New(fault.Unsupported, "there are no EFI variables")
	}
	return nil
}

// StartOnce has the boot loader start the entry that a pattern matches, once.
func (l Loader) StartOnce(pattern string) error {
	if err := l.Check(); err != nil {
		return err
	}
	return folder.Replace(l.machine.Variables, onceVariable, []byte(pattern))
}

// takeOnce reads the variable and removes it, as systemd-boot does before it looks at any entry.
func (m *Machine) takeOnce() (string, error) {
	if m.Variables == nil {
		return "", nil
	}
	pattern, err := folder.Read(m.Variables, onceVariable, 1<<10)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := m.Variables.Remove(onceVariable); err != nil {
		return "", err
	}
	return string(pattern), m.Variables.Sync()
}

// matches compares as systemd-boot 257 does: the pattern in lower case, and the id as well unless its name has a counter.
func (c candidate) matches(pattern string) bool {
	id := "conifer_" + c.version + ".efi"
	if !c.counted {
		id = strings.ToLower(id)
	}
	ok, err := path.Match(strings.ToLower(pattern), id)
	return ok && err == nil
}
