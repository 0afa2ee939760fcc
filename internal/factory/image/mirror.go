package image

import (
	"bufio"
	"io/fs"
	"path"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Mirrors are the URLs of Debian's archive and of its security archive.
type Mirrors struct {
	Main, Security string
}

// source is one line or stanza of an apt configuration.
type source struct {
	uri    string
	suites []string
}

// HostMirrors reads the mirrors from an apt configuration, as both sources.list and deb822 files, in the
// file system of the folder /etc/apt. The release of the host does not matter, only where it is taken from.
func HostMirrors(apt fs.FS) (Mirrors, error) {
	var sources []source
	files, err := fs.Glob(apt, "sources.list.d/*")
	if err != nil {
		return Mirrors{}, err
	}
	for _, name := range append([]string{"sources.list"}, files...) {
		text, err := fs.ReadFile(apt, name)
		if err != nil {
			continue // sources.list need not exist.
		}
		switch path.Ext(name) {
		case ".list":
			sources = append(sources, parseList(string(text))...)
		case ".sources":
			sources = append(sources, parseStanzas(string(text))...)
		}
	}
	return choose(sources)
}

// choose takes the first archive that looks like Debian's main one: its path ends in /debian, that of the security archive
// in /debian-security (or is debian's old security host).
func choose(sources []source) (Mirrors, error) {
	var m Mirrors
	for _, s := range sources {
		uri := strings.TrimRight(s.uri, "/")
		if !strings.Contains(uri, "://") || strings.HasPrefix(uri, "cdrom:") {
			continue
		}
		security := slices.ContainsFunc(s.suites, func(suite string) bool {
			return strings.HasSuffix(suite, "-security") || strings.HasSuffix(suite, "/updates")
		})
		switch {
		case security && m.Security == "":
			m.Security = uri
		case !security && m.Main == "" && path.Base(uri) == "debian":
			m.Main = uri
		}
	}
	if m.Main == "" {
		return m, fault.New(fault.NotFound, "the host's apt configuration names no Debian mirror").
			WithHint("Name one with --mirror.")
	}
	if m.Security == "" {
		m.Security = securityBeside(m.Main)
	}
	return m, nil
}

// MirrorAt is the pair of archives of a mirror given by its URL.
func MirrorAt(url string) Mirrors {
	url = strings.TrimRight(url, "/")
	return Mirrors{Main: url, Security: securityBeside(url)}
}

// securityBeside is where mirrors have the security archive: beside the main one.
func securityBeside(main string) string {
	return strings.TrimSuffix(main, path.Base(main)) + "debian-security"
}

// parseList reads lines "deb [options] uri suite component…".
func parseList(text string) []source {
	var list []source
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line, isDeb := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !isDeb {
			continue
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			_, line, _ = strings.Cut(line, "]")
		}
		if fields := strings.Fields(line); len(fields) >= 2 {
			list = append(list, source{fields[0], fields[1:2]})
		}
	}
	return list
}

// parseStanzas reads deb822 stanzas with the fields Types, URIs, Suites and Enabled.
func parseStanzas(text string) []source {
	var list []source
	for stanza := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		fields := parseStanza(stanza)
		if fields["enabled"] == "no" || !slices.Contains(strings.Fields(fields["types"]), "deb") {
			continue
		}
		for uri := range strings.FieldsSeq(fields["uris"]) {
			list = append(list, source{uri, strings.Fields(fields["suites"])})
		}
	}
	return list
}

// parseStanza reads one block of "Field: value" lines; a line that begins with a space continues the field above. Field
// names are folded to lower case.
func parseStanza(text string) map[string]string {
	fields := map[string]string{}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
			fields[last] += "\n" + strings.TrimSpace(line)
		default:
			name, value, ok := strings.Cut(line, ":")
			if ok {
				last = strings.ToLower(name)
				fields[last] = strings.TrimSpace(value)
			}
		}
	}
	return fields
}
