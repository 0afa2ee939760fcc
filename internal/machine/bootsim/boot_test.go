package bootsim

import (
	"errors"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/machine/faultdisk"
)

func machine(t *testing.T) *Machine {
	t.Helper()
	var made []*Release
	for _, version := range []string{"1.0.0", "1.1.0"} {
		r, err := NewRelease(version, 16, 5000)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, r)
	}
	m, err := NewMachine(1, made[0], made[1], 16, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rename gives a boot entry another name, durably.
func rename(t *testing.T, m *Machine, from, to string) {
	t.Helper()
	if err := errors.Join(m.ESP.Rename(from, to), m.ESP.Sync()); err != nil {
		t.Fatal(err)
	}
}

func TestBootCountsTriesAndFallsBack(t *testing.T) {
	m := machine(t)
	rename(t, m, "conifer_1.1.0.efi", "conifer_1.1.0+2.efi")
	for _, want := range []struct{ version, files string }{
		{"1.1.0", "conifer_1.1.0+1-1.efi"}, {"1.1.0", "conifer_1.1.0+0-2.efi"}, {"1.0.0", "conifer_1.1.0+0-2.efi"},
	} {
		if err := m.Boot(); err != nil || m.Version != want.version || !strings.Contains(m.ESP.Describe(), want.files) {
			t.Errorf("%s boots (%v) with %s, want %+v", m.Version, err, m.ESP.Describe(), want)
		}
	}
	rename(t, m, "conifer_1.1.0+0-2.efi", "conifer_1.1.0+2.efi")
	m.Broken["1.1.0"] = true
	boots := m.BootID
	if err := m.Boot(); err != nil || m.Version != "1.0.0" || m.BootID != boots+3 {
		t.Errorf("beside a broken release %s boots in %d attempts: %v", m.Version, m.BootID-boots, err)
	}
}

func TestBootStartsWhatItIsToldOnce(t *testing.T) {
	for _, c := range []struct{ entry, pattern, first string }{
		{"conifer_1.0.0+3.efi", "conifer_1.0.0.efi", "1.0.0"},
		{"conifer_1.0.0+0-3.efi", "conifer_1.0.0.efi", "1.0.0"},
		{"conifer_1.0.0.efi", "conifer_1.0.0.efi", "1.0.0"},
		{"conifer_1.0.0.efi", "conifer_1.2.0.efi", "1.1.0"}, // no such entry
		{"conifer_1.0.0+3.efi", "conifer_1.0.0+3.efi", "1.1.0"},
	} {
		m := machine(t)
		if c.entry != "conifer_1.0.0.efi" {
			rename(t, m, "conifer_1.0.0.efi", c.entry)
		}
		if err := m.Loader().StartOnce(c.pattern); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.first, "1.1.0"} {
			if err := m.Boot(); err != nil || m.Version != want {
				t.Errorf("%s with %s: %s boots, want %s: %v", c.entry, c.pattern, m.Version, want, err)
			}
		}
	}
	m := machine(t)
	if err := m.Loader().StartOnce("conifer_1.0.0.efi"); err != nil {
		t.Fatal(err)
	}
	m.Broken["1.0.0"] = true
	if err := m.Boot(); err != nil || m.Version != "1.1.0" || m.BootID != 2 {
		t.Errorf("after a broken release %s boots in %d attempts: %v", m.Version, m.BootID, err)
	}
}

// systemd-boot 257 keeps the capitals of the id of an entry that is counted, and has none in a pattern.
func TestCapitalsMatchAsInSystemdBoot(t *testing.T) {
	for _, c := range []struct {
		counted bool
		pattern string
		want    bool
	}{
		{false, "conifer_1.0.0-RC1.efi", true}, {true, "conifer_1.0.0-RC1.efi", false},
		{false, "conifer_1.0.0-??1.efi", true}, {true, "conifer_1.0.0-??1.efi", true},
	} {
		if got := (candidate{version: "1.0.0-RC1", counted: c.counted}).matches(c.pattern); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestBootIsCutLikeEverythingElse(t *testing.T) {
	for at := 1; at <= 2; at++ {
		m := machine(t)
		rename(t, m, "conifer_1.1.0.efi", "conifer_1.1.0+3.efi")
		m.Power.CutAt(at, faultdisk.HalfSecond)
		if err := m.Boot(); err == nil || !m.Power.Off() {
			t.Errorf("write %d: %v", at, err)
		}
		m.Power.Restore()
		if err := m.Boot(); err != nil || m.Version != "1.0.0" {
			t.Errorf("write %d: %s boots from an ESP that lost a name: %v", at, m.Version, err)
		}
	}
}

// damage writes a sector of a byte.
func damage(t *testing.T, d *faultdisk.Disk, sector int64) {
	t.Helper()
	content := []byte(strings.Repeat("\x5a", 512))
	if _, err := d.WriteAt(content, sector*512); err != nil {
		t.Fatal(err)
	}
}

func TestBootSurvivesOneTableAndRefusesEverythingElse(t *testing.T) {
	last := func(m *Machine) int64 { return m.Disk.SizeBytes()/512 - 1 }
	cases := map[string]struct {
		damage  func(m *Machine)
		message string // "" boots
	}{
		"the primary table":   {func(m *Machine) { damage(t, m.Disk, 1) }, ""},
		"the backup table":    {func(m *Machine) { damage(t, m.Disk, last(m)) }, ""},
		"both tables":         {func(m *Machine) { damage(t, m.Disk, 1); damage(t, m.Disk, last(m)) }, "no partition table"},
		"a block of root":     {func(m *Machine) { damage(t, m.Partition(4), 127) }, "dm-verity: data"},
		"a block of the tree": {func(m *Machine) { damage(t, m.Partition(5), 8) }, "dm-verity: level"},
		"a superblock":        {func(m *Machine) { damage(t, m.Partition(5), 0) }, "dm-verity: verity superblock"},
		"a torn UKI":          {func(m *Machine) { m.ESP.Put("conifer_1.1.0.efi", []byte("MZ 1.1.0")) }, "is not whole"},
		"a UKI of garbage":    {func(m *Machine) { m.ESP.Put("conifer_1.1.0.efi", []byte("zzzz")) }, "holds garbage"},
		"an empty UKI":        {func(m *Machine) { m.ESP.Put("conifer_1.1.0.efi", nil) }, ""},
		"no entries":          {func(m *Machine) { m.ESP.Drop("conifer_1.0.0.efi"); m.ESP.Drop("conifer_1.1.0.efi") }, "no boot entry"},
		"no release starts":   {func(m *Machine) { m.Broken = map[string]bool{"1.0.0": true, "1.1.0": true} }, "no release started"},
	}
	for name, c := range cases {
		m := machine(t)
		c.damage(m)
		err := m.Boot()
		if c.message == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var v *Violation
		if !errors.As(err, &v) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want a violation with %q", name, err, c.message)
		}
	}
}
