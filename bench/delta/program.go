package main

import (
	_ "embed"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

//go:embed deps
var depsText string

// deps are the Debian packages of all programs.
func deps() (names []string) {
	for line := range strings.Lines(depsText) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	return names
}

// checkPrograms fails when a program is missing, and says how to get it or how to do without.
func checkPrograms(s *settings, chosen []row) error {
	var missing, without []string
	if !s.keep {
		missing = absent("apt-get", "apt-cache", "dpkg", "dpkg-deb", "mkfs.erofs", "xz", "zstd")
	}
	for _, w := range chosen {
		m := absent(w.programs...)
		if len(m) > 0 && w.debian == "" {
			return fmt.Errorf("there is no %s: run make build", w.programs[0])
		}
		if len(m) > 0 {
			missing, without = append(missing, m...), append(without, "-"+w.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	hint := "apt-get install --no-install-recommends " + strings.Join(deps(), " ")
	if len(without) > 0 {
		hint += "; or leave rows out with -rows=" + strings.Join(without, ",")
	}
	return fmt.Errorf("not installed: %s. As root: %s", strings.Join(slices.Compact(missing), " "), hint)
}

func absent(programs ...string) (missing []string) {
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

// installed are the versions of the packages in deps; one that is not installed has none.
func installed() map[string]string {
	versions := map[string]string{}
	// dpkg-query fails when one of many is unknown, and still tells of the others.
	out, _ := exec.Command("dpkg-query", append([]string{"--show", "--showformat=${Package} ${Version}\n"}, deps()...)...).Output()
	for line := range strings.Lines(string(out)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			versions[name] = version
		}
	}
	return versions
}
