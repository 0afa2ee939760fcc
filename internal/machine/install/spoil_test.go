package install_test

import (
	"testing"

	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/slots"
)

// The types below are storage that forgets one kind of sync. The simulation must find each of them out: otherwise
// it would not find an installer that forgets it.

type lazyDisk struct{ slots.Disk }

func (lazyDisk) Sync() error { return nil }

type lazyNames struct{ folder.Folder }

func (lazyNames) Sync() error { return nil }

type lazyContent struct{ folder.Folder }

func (l lazyContent) Create(name string) (folder.File, error) {
	file, err := l.Folder.Create(name)
	return lazyFile{file}, err
}

type lazyFile struct{ folder.File }

func (lazyFile) Sync() error { return nil }

// storage is what an agent works on, some of it lazy.
type storage struct {
	disk      slots.Disk
	esp, vars folder.Folder
	part      func(number int, d slots.Disk) slots.Disk
}

func TestTheSimulationFindsForgottenSyncs(t *testing.T) {
	spoils := map[string]func(st *storage){
		"of the partition table": func(st *storage) { st.disk = lazyDisk{st.disk} },
		"of root": func(st *storage) {
			st.part = func(n int, d slots.Disk) slots.Disk {
				if n%2 == 0 {
					return lazyDisk{d}
				}
				return d
			}
		},
		"of verity": func(st *storage) {
			st.part = func(n int, d slots.Disk) slots.Disk {
				if n%2 == 1 {
					return lazyDisk{d}
				}
				return d
			}
		},
		"of the names of boot entries":   func(st *storage) { st.esp = lazyNames{st.esp} },
		"of the content of boot entries": func(st *storage) { st.esp = lazyContent{st.esp} },
		"of the content of state":        func(st *storage) { st.vars = lazyContent{st.vars} },
	}
	for name, spoil := range spoils {
		if !someStopFails(t, spoil) {
			t.Errorf("a forgotten sync %s was not found", name)
		}
	}
}

// someStopFails looks for a stop after which the machine does not boot or not complete. It begins at the last write.
func someStopFails(t *testing.T, spoil func(st *storage)) bool {
	t.Helper()
	for i := range 180 {
		sc, at := scenarios[i%2*3], 180-i // good and superseded
		for _, loss := range []faultdisk.Loss{faultdisk.LoseAll, faultdisk.HalfFirst, faultdisk.HalfSecond} {
			w := newWorld(t, sc, uint64(at))
			w.agent.open = func(m *bootsim.Machine) (*slots.Slots, folder.Folder, error) {
				st := &storage{disk: m.Disk, esp: m.ESP, vars: m.Var, part: func(_ int, d slots.Disk) slots.Disk { return d }}
				spoil(st)
				s, err := slots.Open(st.disk, func(n, _ int) (slots.Device, error) { return st.part(n, m.Partition(n)), nil }, st.esp, m.RootHash())
				return s, st.vars, err
			}
			w.Power.CutAt(at, loss)
			if err := bootsim.Drive(w.Machine, w.agent.run, w.Power.Restore); err != nil || w.check() != nil {
				return true
			}
		}
	}
	return false
}
