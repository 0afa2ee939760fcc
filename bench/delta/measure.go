package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/internal/factory/image"
)

// measureAll measures what the flags ask for and writes the report.
func measureAll(ctx context.Context, args []string) error {
	var s settings
	if err := s.flags().Parse(args); err != nil {
		return err
	}
	chosen, err := s.choose()
	if err != nil {
		return err
	}
	if err := checkPrograms(&s, chosen); err != nil {
		return err
	}
	r := report{settings: s, conditions: page.Conditions(), versions: installed()}
	for i := range pairs {
		p := &pairs[i]
		if !chosenFrom(s.pairs, p.name) {
			continue
		}
		p.arch = s.arch
		if err := s.prepare(ctx, p); err != nil {
			return err
		}
		m := measured{pair: p}
		if err := m.measure(ctx, &s, chosen, r.versions); err != nil {
			return err
		}
		r.pairs = append(r.pairs, m)
	}
	return r.write()
}

// choose checks the flags, and returns the rows that they ask for.
func (s *settings) choose() (chosen []row, err error) {
	if s.folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		s.folder = filepath.Join(cache, "conifer", "delta")
	}
	if s.folder, err = filepath.Abs(s.folder); err != nil {
		return nil, err
	}
	var rowNames, pairNames []string
	for _, w := range rows {
		rowNames = append(rowNames, w.name)
	}
	for _, p := range pairs {
		pairNames = append(pairNames, p.name)
	}
	if err := errors.Join(checkNames("row", s.rows, rowNames), checkNames("pair", s.pairs, pairNames)); err != nil {
		return nil, err
	}
	for _, w := range rows {
		if chosenFrom(s.rows, w.name) {
			chosen = append(chosen, w)
		}
	}
	if s.ours {
		w, err := ours(s.bins)
		return append(chosen, w), err
	}
	return chosen, nil
}

// checkNames fails when a list has a name that there is not.
func checkNames(kind, list string, known []string) error {
	for name := range strings.FieldsFuncSeq(list, isComma) {
		if !slices.Contains(known, strings.TrimPrefix(name, "-")) {
			return fmt.Errorf("there is no %s %q; there are %s", kind, name, strings.Join(known, " "))
		}
	}
	return nil
}

func isComma(r rune) bool { return r == ',' }

// chosenFrom reports whether a list asks for a name: it has the name, or it has only others with a minus before them.
func chosenFrom(list, name string) bool {
	all := true
	for item := range strings.FieldsFuncSeq(list, isComma) {
		if item == name || item == "-"+name {
			return item == name
		}
		all = all && strings.HasPrefix(item, "-")
	}
	return all
}

func (s *settings) prepare(ctx context.Context, p *pair) error {
	if s.keep {
		return p.open(s.folder)
	}
	mirrors, err := image.HostMirrors(os.DirFS("/etc/apt"))
	if err != nil {
		return err
	}
	return p.make(ctx, s.folder, mirrors)
}

// measured is a pair with the results of its rows.
type measured struct {
	*pair
	rows    []row
	results []result
}

func (m *measured) measure(ctx context.Context, s *settings, chosen []row, versions map[string]string) error {
	for _, w := range chosen {
		kept, err := m.kept(w)
		if err != nil {
			return err
		}
		fresh := s.fresh || kept == nil || kept.Version != versions[w.debian] || w.debian == ""
		if w.slow && !s.ultra {
			if kept == nil {
				continue
			}
			fresh = false
		}
		if fresh {
			if kept, err = m.run(ctx, s, w, versions[w.debian]); err != nil {
				return fmt.Errorf("measure %s on pair %s: %w", w.name, m.name, err)
			}
		}
		m.rows, m.results = append(m.rows, w), append(m.results, *kept)
	}
	return nil
}

// run measures a row in a folder of its own, and keeps the result beside the pair, with which it goes.
func (m *measured) run(ctx context.Context, s *settings, w row, version string) (*result, error) {
	folder, err := os.MkdirTemp(s.folder, "work-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	talk("pair %s: %s", m.name, w.title)
	r, err := w.measure(ctx, &trial{m.pair, folder})
	if err != nil {
		return nil, err
	}
	r.Measured, r.Version = time.Now().UTC().Truncate(time.Second), version
	talk("  %s bytes; made in %.1f s, applied in %.1f s and %.0f MiB", page.Number(r.Bytes), r.Make.Seconds, r.Apply.Seconds, r.Apply.PeakMiB)
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(m.resultFile(w)), 0o755); err != nil {
		return nil, err
	}
	return &r, renameio.WriteFile(m.resultFile(w), append(text, '\n'), 0o644)
}

func (m *measured) resultFile(w row) string {
	return filepath.Join(m.folder, "results", w.name+".json")
}

// kept is a result of an earlier run, or nil.
func (m *measured) kept(w row) (*result, error) {
	text, err := os.ReadFile(m.resultFile(w))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", m.resultFile(w), err)
	}
	return &r, nil
}
