package image

import (
	"os"
	"path/filepath"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Suites is a set of Debian suites to take packages from.
type Suites string

// The two sets: what the last point release froze, and that with all fixes since.
const (
	Released Suites = "released"
	Updated  Suites = "updated"
)

// debian is the release that images are made of.
const debian = "trixie"

// list names the suites, and whether they are on the security mirror.
func (s Suites) list() (main, security []string) {
	if s == Updated {
		return []string{debian, debian + "-updates"}, []string{debian + "-security"}
	}
	return []string{debian}, nil
}

// Spec is all that makes one image differ from another.
type Spec struct {
	Version  string
	Arch     string // of the machines, by Debian's name
	Suites   Suites
	Mirror   string   // URL of a Debian mirror, or "" for the host's own
	Out      string   // folder to make; it must not exist
	Overlays []string // folders laid over the root, in order; a file .remove in one lists what to take away
	RootJSON string   // TUF root of trust for the agent, or ""
	Agent    string   // the conifer-agent program, or ""
	Initrd   string   // the conifer-initrd program
	Cache    string   // folder for the tools tree, packages and package trees
	NoCache  bool     // build the package tree anew
}

func (s *Spec) check() error {
	if !release.ValidVersion(s.Version) {
		return fault.New(fault.Invalid, "version %q is not of the form 1.2.3", s.Version)
	}
	if _, err := machineOf(s.Arch); err != nil {
		return err
	}
	if s.Suites != Released && s.Suites != Updated {
		return fault.New(fault.Invalid, "there is no set of suites %q", s.Suites).
			WithHint("Use %q or %q.", Released, Updated)
	}
	if os.Geteuid() != 0 {
		return fault.New(fault.Forbidden, "an image is built as root").
			WithHint("Files of the image belong to several users, and the tools run in a mount namespace.")
	}
	if _, err := os.Stat(s.Out); err == nil {
		return fault.New(fault.Conflict, "folder %s exists", s.Out).WithHint("Remove it, or name another with --out.")
	}
	for _, file := range append([]string{s.RootJSON, s.Agent, s.Initrd}, s.Overlays...) {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fault.Wrap(fault.NotFound, err)
		}
	}
	if s.Initrd == "" {
		return fault.New(fault.Invalid, "no initrd program is given").WithHint("Build cmd/conifer-initrd and name it with --initrd.")
	}
	return nil
}

// Cache is where the factory keeps what it can make again: $XDG_CACHE_HOME/conifer.
func Cache(getenv func(string) string) (string, error) {
	if folder := getenv("XDG_CACHE_HOME"); filepath.IsAbs(folder) {
		return filepath.Join(folder, "conifer"), nil
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "conifer"), nil
	}
	return "", fault.New(fault.Invalid, "neither XDG_CACHE_HOME nor HOME is set")
}

// Debs is the folder of a cache in which the installed packages' .deb files are kept.
func Debs(cache string) string { return filepath.Join(cache, "packages", "cache", "apt", "archives") }
