package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernelsBefore is how far behind the kernel of an old side is: as far as a release has deltas from.
const kernelsBefore = 5

// goBack makes apt choose what a machine had some fixes ago, as far as the archive still has it: of the kernels the fifth before, and of any
// other package of the list the version before. A suite without its updates would not do: on the day of a point release it has them all.
func (a *apt) goBack(ctx context.Context, list []archive) error {
	var names []string
	for _, p := range list {
		name, _, _ := strings.Cut(p.file, "_")
		names = append(names, name)
	}
	offers, err := a.offers(ctx, names)
	if err != nil {
		return err
	}
	var pins strings.Builder
	for _, name := range names {
		if v := offers[name]; len(v) > 1 {
			fmt.Fprintf(&pins, "Package: %s\nPin: version %s\nPin-Priority: 1001\n\n", name, v[1])
		}
	}
	if err := os.WriteFile(a.preferences(), []byte(pins.String()), 0o644); err != nil {
		return err
	}
	kernel, err := a.kernelBefore(ctx)
	if err != nil {
		return err
	}
	for i, name := range a.wanted {
		if name == newestKernel(a.arch) {
			a.wanted[i] = kernel
		}
	}
	return nil
}

func (a *apt) preferences() string { return filepath.Join(a.folder, "preferences") }

// offers are the versions that the suites have of packages, the highest first.
func (a *apt) offers(ctx context.Context, names []string) (map[string][]string, error) {
	text, err := a.run(ctx, "apt-cache", append([]string{"madison"}, names...)...)
	if err != nil {
		return nil, err
	}
	return parseOffers(text)
}

// parseOffers reads lines "NAME | VERSION | SOURCE", as apt-cache madison writes them, one for each source of a version.
func parseOffers(text string) (map[string][]string, error) {
	offers := map[string][]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(line, " | ")
		if len(f) != 3 {
			return nil, fmt.Errorf("apt-cache madison wrote %q, want a name, a version and a source", line)
		}
		name, version := strings.TrimSpace(f[0]), strings.TrimSpace(f[1])
		if !slices.Contains(offers[name], version) {
			offers[name] = append(offers[name], version)
		}
	}
	return offers, nil
}

// kernelBefore is the package of the kernel that comes so many before the newest, or of the oldest that there is.
func (a *apt) kernelBefore(ctx context.Context) (string, error) {
	text, err := a.run(ctx, "apt-cache", "pkgnames", "linux-image-")
	if err != nil {
		return "", err
	}
	var kernels []string
	for _, name := range strings.Fields(text) {
		if isKernel(name, a.arch) {
			kernels = append(kernels, name)
		}
	}
	if len(kernels) == 0 {
		return "", fmt.Errorf("the suites have no kernel linux-image-*-cloud-%s", a.arch)
	}
	offers, err := a.offers(ctx, kernels)
	if err != nil {
		return "", err
	}
	var failed error
	slices.SortFunc(kernels, func(x, y string) int {
		switch {
		case x == y:
			return 0
		case a.newer(ctx, offers[x], offers[y], &failed):
			return -1
		}
		return 1
	})
	return kernels[min(kernelsBefore, len(kernels)-1)], failed
}

// newer reports whether the first of some versions is newer than the first of others.
func (a *apt) newer(ctx context.Context, x, y []string, failed *error) bool {
	if len(x) == 0 || len(y) == 0 {
		return len(x) > len(y)
	}
	answer, err := output(command(ctx, "sh", "-c", `dpkg --compare-versions "$1" gt "$2" && echo yes || echo no`, "sh", x[0], y[0]))
	if err != nil {
		*failed = err
	}
	return strings.TrimSpace(answer) == "yes"
}

// isKernel reports whether a package is one kernel, and not whichever is the newest.
func isKernel(name, arch string) bool {
	version, ok := strings.CutPrefix(name, "linux-image-")
	return ok && strings.HasSuffix(version, "-cloud-"+arch) && version[0] >= '0' && version[0] <= '9'
}
