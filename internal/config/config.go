// Package config reads a program's configuration: one TOML file plus numbered drop-ins.
//
// Start with [Load]. For `/etc/conifer/agent.toml` the drop-ins are `/etc/conifer/agent.d/*.toml` in the
// order of their names; a later file replaces single values of an earlier one. A key that the target struct
// does not have is an error, so that a misspelt setting cannot silently be the default. [Config.Print] shows
// the effective values and the file each came from. Nothing here reads environment variables or secrets.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"

	"conifer.dev/conifer/internal/fault"
)

// Config remembers where each value came from.
type Config struct {
	target  any
	origins map[string]string // dotted key -> file
}

// Load decodes path and its drop-ins over the values that target already holds. A missing main file or
// drop-in folder means defaults; an unreadable or malformed one is an error of kind Invalid.
func Load(path string, target any) (*Config, error) {
	c := &Config{target: target, origins: map[string]string{}}
	files := []string{path}
	dropIns, err := filepath.Glob(filepath.Join(DropInFolder(path), "*.toml"))
	if err != nil {
		return nil, fmt.Errorf("list drop-ins: %w", err)
	}
	sort.Strings(dropIns)
	for _, file := range append(files, dropIns...) {
		if err := c.merge(file); err != nil {
			return nil, fmt.Errorf("read configuration %s: %w", file, err)
		}
	}
	return c, nil
}

// DropInFolder is where the drop-ins of the configuration file at path are looked for.
func DropInFolder(path string) string { return strings.TrimSuffix(path, ".toml") + ".d" }

func (c *Config) merge(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	meta, err := toml.Decode(string(text), c.target)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return fault.New(fault.Invalid, "unknown key %q", extra[0].String()).
			WithHint("Check its spelling; `config` prints every key that there is.")
	}
	for _, key := range meta.Keys() {
		c.origins[key.String()] = file
	}
	return nil
}

// Origin names the file that set the dotted key, or "default".
func (c *Config) Origin(key string) string {
	if file, ok := c.origins[key]; ok {
		return file
	}
	return "default"
}

// Print writes the effective values as TOML, each with a comment that names its origin.
func (c *Config) Print(w io.Writer) error {
	var text strings.Builder
	enc := toml.NewEncoder(&text)
	enc.Indent = ""
	if err := enc.Encode(c.target); err != nil {
		return err
	}
	table := ""
	for line := range strings.Lines(text.String()) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(line, "[]") + "."
		}
		if key, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "[") {
			line += "  # " + c.Origin(table+key)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
