package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// fleetFile is fleet.toml: what an operator decides about applications, channels and groups, as a file.
type fleetFile struct {
	Apps     []fileApp     `toml:"app"`
	Channels []fileChannel `toml:"channel"`
	Groups   []fileGroup   `toml:"group"`
}

type fileApp struct {
	ID        string `toml:"id"`
	Name      string `toml:"name"`
	ProductID string `toml:"product_id,omitempty"`
}

type fileChannel struct {
	App      string   `toml:"app"`
	Name     string   `toml:"name"`
	Releases releases `toml:"releases,omitempty"`
}

type fileGroup struct {
	App          string     `toml:"app"`
	Name         string     `toml:"name"`
	Channel      string     `toml:"channel"`
	Paused       bool       `toml:"paused,omitempty"`
	Percent      policyText `toml:"percent,omitempty"`
	MaxPerPeriod string     `toml:"max_per_period,omitempty"`
	MaxAtOnce    int        `toml:"max_at_once,omitzero"`
	ErrorBudget  policyText `toml:"error_budget,omitempty"`
	Windows      []string   `toml:"windows,omitempty"`
	SilentAfter  string     `toml:"silent_after,omitempty"`
	Pin          string     `toml:"pin,omitempty"`
	Downgrade    bool       `toml:"downgrade,omitempty"`
}

// policyText is a part of a policy whose shortest form is a number, which may be written without quotes.
type policyText string

// UnmarshalTOML takes a text or a whole number.
func (p *policyText) UnmarshalTOML(value any) error {
	switch v := value.(type) {
	case string:
		*p = policyText(v)
	case int64:
		*p = policyText(fmt.Sprint(v))
	default:
		return fmt.Errorf("want a text or a whole number, not %v", value)
	}
	return nil
}

// releases are where a channel points, by architecture; they fit in one line.
type releases map[string]string

// MarshalTOML writes an inline table.
func (r releases) MarshalTOML() ([]byte, error) {
	var pairs []string
	for _, arch := range slices.Sorted(maps.Keys(r)) {
		pair, err := toml.Marshal(map[string]string{arch: r[arch]})
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, strings.TrimSpace(string(pair)))
	}
	return []byte("{" + strings.Join(pairs, ", ") + "}"), nil
}

// parseFleetFile reads the text of the file of that name.
func parseFleetFile(name, text string) (admin.Configuration, error) {
	var f fleetFile
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return admin.Configuration{}, fault.New(fault.Invalid, "%s: %s", name, strings.TrimPrefix(err.Error(), "toml: ")).
			WithHint("`conifer export` writes a file to compare with.")
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return admin.Configuration{}, unknownKey(name, text, unknown[0])
	}
	return f.configuration(name)
}

// unknownKey says where a key is that the file must not have: at the end of the shortest beginning of the text that has it.
func unknownKey(name, text string, key toml.Key) error {
	line := 0
	var begun strings.Builder
	for next := range strings.Lines(text) {
		line++
		begun.WriteString(next)
		if !strings.Contains(next, key[len(key)-1]) {
			continue
		}
		if meta, err := toml.Decode(begun.String(), &fleetFile{}); err == nil && len(meta.Undecoded()) > 0 {
			break
		}
	}
	table := fleetFile{}.keys(key[0])
	if len(key) == 1 || len(table) == 0 {
		return fault.New(fault.Invalid, "%s: line %d: unknown table %q", name, line, key[0]).WithHint("Tables: [[app]], [[channel]], [[group]].")
	}
	return fault.New(fault.Invalid, "%s: line %d: unknown key %q of [[%s]]", name, line, strings.Join(key[1:], "."), key[0]).
		WithHint("Keys of [[%s]]: %s.", key[0], strings.Join(table, ", "))
}

// keys are those of a table, in the order of its type.
func (f fleetFile) keys(table string) (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeOf(f)) {
		if field.Tag.Get("toml") != table {
			continue
		}
		for _, key := range reflect.VisibleFields(field.Type.Elem()) {
			name, _, _ := strings.Cut(key.Tag.Get("toml"), ",")
			names = append(names, name)
		}
	}
	return names
}

// configuration is the file in the words of the service, with applications by id where the file tells it.
func (f fleetFile) configuration(name string) (admin.Configuration, error) {
	ids := map[string]string{}
	c := admin.Configuration{Apps: []store.App{}, Channels: []admin.ConfigChannel{}, Groups: []store.Group{}}
	for i, a := range f.Apps {
		if a.ID == "" || a.Name == "" {
			return c, incomplete(name, "app", i, "its id or name")
		}
		ids[a.Name] = a.ID
		c.Apps = append(c.Apps, store.App{ID: a.ID, Name: a.Name, ProductID: a.ProductID})
	}
	id := func(app string) string {
		if known := ids[app]; known != "" {
			return known
		}
		return app
	}
	for i, ch := range f.Channels {
		if ch.App == "" || ch.Name == "" {
			return c, incomplete(name, "channel", i, "its app or name")
		}
		c.Channels = append(c.Channels, admin.ConfigChannel{App: id(ch.App), Name: ch.Name, Releases: ch.Releases})
	}
	for i, g := range f.Groups {
		if g.App == "" || g.Name == "" {
			return c, incomplete(name, "group", i, "its app or name")
		}
		g.App = id(g.App)
		c.Groups = append(c.Groups, g.record())
	}
	return c, nil
}

// incomplete says that a table cannot be told apart from others; index counts those of its kind from 0.
func incomplete(name, table string, index int, what string) error {
	return fault.New(fault.Invalid, "%s: [[%s]] number %d lacks %s", name, table, index+1, what).
		WithHint("Every [[%s]] needs them.", table)
}

func (g fileGroup) record() store.Group {
	return store.Group{
		App: g.App, Name: g.Name, Channel: g.Channel, Paused: g.Paused, Percent: string(g.Percent), MaxPerPeriod: g.MaxPerPeriod,
		MaxAtOnce: g.MaxAtOnce, ErrorBudget: string(g.ErrorBudget), Windows: g.Windows, SilentAfter: g.SilentAfter,
		Pin: g.Pin, Downgrade: g.Downgrade,
	}
}

// writeFleetFile is the inverse of parseFleetFile; applications are called by their names.
func writeFleetFile(c admin.Configuration) ([]byte, error) {
	names := map[string]string{}
	f := fleetFile{}
	for _, a := range c.Apps {
		names[a.ID] = a.Name
		f.Apps = append(f.Apps, fileApp{a.ID, a.Name, a.ProductID})
	}
	for _, ch := range c.Channels {
		f.Channels = append(f.Channels, fileChannel{cmp.Or(names[ch.App], ch.App), ch.Name, ch.Releases})
	}
	for _, g := range c.Groups {
		f.Groups = append(f.Groups, fileGroup{
			cmp.Or(names[g.App], g.App), g.Name, g.Channel, g.Paused, policyText(g.Percent), g.MaxPerPeriod, g.MaxAtOnce, policyText(g.ErrorBudget),
			g.Windows, g.SilentAfter, g.Pin, g.Downgrade,
		})
	}
	var text bytes.Buffer
	encoder := toml.NewEncoder(&text)
	encoder.Indent = ""
	err := encoder.Encode(f)
	return text.Bytes(), err
}
