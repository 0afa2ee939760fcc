package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/internal/factory/image"
)

// wanted are the packages of a machine, which bring what they depend on. apt takes the pattern for whatever Debian calls essential.
func wanted(arch string) []string {
	return []string{
		"?essential", newestKernel(arch), "systemd", "podman", "containerd", "runc", "etcd-server",
		"openssh-server", "openssh-client", "curl", "nftables",
	}
}

// newestKernel is the package that depends on the newest kernel of a suite.
func newestKernel(arch string) string { return "linux-image-cloud-" + arch }

// suites are what a tree is resolved from, in the main archive and in that of security updates: as they are, or with fewer fixes.
type suites struct {
	main, security []string
	before         bool // some fixes before the newest, see goBack
}

func (s suites) String() string {
	text := strings.Join(append(s.main[:len(s.main):len(s.main)], s.security...), " + ")
	if s.before {
		text += " some fixes before"
	}
	return text
}

// sources is the apt configuration of the suites at the mirrors.
func (s suites) sources(m image.Mirrors) string {
	var b strings.Builder
	stanza := func(uri string, suites []string) {
		if len(suites) > 0 {
			fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n",
				uri, strings.Join(suites, " "))
		}
	}
	stanza(m.Main, s.main)
	stanza(m.Security, s.security)
	return b.String()
}

// apt is a package manager that sees nothing of the host's: neither what is installed nor how it is configured.
type apt struct {
	folder   string // of its state
	archives string // of downloaded packages, which all of them share
	arch     string // of the machine, by Debian's name
	before   bool   // see goBack
	wanted   []string
}

// aptConf takes every path away from the host's. Dates are not checked, because a mirror that stands still is as good a source
// for a comparison as one that moves; signatures are. An index that cannot be fetched is an error, not what an earlier run left.
const aptConf = `Dir::State "%[1]s/state";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "%[1]s/none";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "%[1]s/sources";
Dir::Etc::preferences "%[1]s/preferences";
Dir::Etc::preferencesparts "%[1]s/none";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "%[1]s/none";
APT::Architecture "%[2]s";
APT::Architectures { "%[2]s"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
Acquire::Retries "3";
APT::Update::Error-Mode "any";
Acquire::ForceHash "SHA256";
`

// newApt makes the configuration for the suites in folder.
func newApt(folder, archives, arch string, s suites, m image.Mirrors) (*apt, error) {
	a := &apt{folder: folder, archives: archives, arch: arch, before: s.before, wanted: wanted(arch)}
	for _, sub := range []string{"state/lists/partial", "cache/archives/partial", "sources", "none"} {
		if err := os.MkdirAll(filepath.Join(folder, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"apt.conf": fmt.Sprintf(aptConf, folder, arch), "status": "", "preferences": "", "sources/debian.sources": s.sources(m),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *apt) get(ctx context.Context, args ...string) (string, error) {
	return a.run(ctx, "apt-get", append([]string{"-qq"}, args...)...)
}

// run starts a program of apt's with the configuration.
func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	c := command(ctx, program, args...)
	c.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(a.folder, "apt.conf"), "LC_ALL=C")
	return output(c)
}

// archive is a package file that apt chose.
type archive struct{ file, size, digest string }

// resolve asks the mirror what the suites hold now, and apt which packages make a machine. apt lists only what is not there yet:
// so it looks into a folder where nothing ever is.
func (a *apt) resolve(ctx context.Context) ([]archive, error) {
	if _, err := a.get(ctx, "update"); err != nil {
		return nil, err
	}
	list, err := a.list(ctx)
	if err != nil || !a.before {
		return list, err
	}
	if err := a.goBack(ctx, list); err != nil {
		return nil, err
	}
	return a.list(ctx)
}

// list is what apt would install.
func (a *apt) list(ctx context.Context) ([]archive, error) {
	text, err := a.get(ctx, append([]string{"install", "--print-uris"}, a.wanted...)...)
	if err != nil {
		return nil, err
	}
	return parseURIs(text)
}

// parseURIs reads lines "'URI' FILE SIZE DIGEST", as apt-get --print-uris writes them.
func parseURIs(text string) (all []archive, err error) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || !strings.HasPrefix(f[0], "'") || strings.Contains(f[1], "/") {
			return nil, fmt.Errorf("apt-get --print-uris wrote %q, want a URI, a file, a size and a digest", lines.Text())
		}
		all = append(all, archive{f[1], f[2], f[3]})
	}
	return all, lines.Err()
}

// download fetches the packages, and returns their files in the order of the list.
func (a *apt) download(ctx context.Context, list []archive) (files []string, err error) {
	args := append([]string{"-o", "Dir::Cache::archives=" + a.archives + "/", "--download-only", "--yes", "install"}, a.wanted...)
	if _, err := a.get(ctx, args...); err != nil {
		return nil, err
	}
	for _, p := range list {
		files = append(files, filepath.Join(a.archives, p.file))
	}
	return files, nil
}
