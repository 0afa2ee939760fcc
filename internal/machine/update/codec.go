package update

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// Format is the version of the durable state. /var is shared by both slots: after a rollback an older agent
// reads what a newer one wrote. A new field therefore keeps the format, and Decode passes over fields that it
// does not know; the format grows only where an older agent must not go on.
const Format = 1

// Encode writes the durable part of the state; equal states give equal bytes.
func (s State) Encode() []byte {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("update: a state has only fields that encode: " + err.Error())
	}
	return append(text, '\n')
}

// Decode reads a state and checks every fact of it; its errors are of kind Corrupt, or Unsupported for another
// format.
func Decode(text []byte) (State, error) {
	var s State
	dec := json.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&s); err != nil {
		return State{}, fault.New(fault.Corrupt, "parse state: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return State{}, fault.New(fault.Corrupt, "parse state: data after the end")
	}
	if s.Format != Format {
		return State{}, fault.New(fault.Unsupported, "state has format %d, want %d", s.Format, Format)
	}
	if what := s.wrong(); what != "" {
		return State{}, fault.New(fault.Corrupt, "state: %s", what)
	}
	return s, nil
}

var phases = []Phase{Idle, Installing, Installed, Rebooting, Trial, Committing, RollingBack, Retiring}

// wrong states the first fact that no state written by Encode can have.
func (s State) wrong() string {
	for _, check := range []struct {
		ok   bool
		what string
	}{
		{slices.Contains(phases, s.Phase), "phase is unknown"},
		{slices.Contains([]Lock{LockNone, LockMaybe, LockHeld}, s.Lock), "lock is unknown"},
		{s.Phase == Idle || release.ValidVersion(s.Target.Version), "target has no version"},
		{s.Phase == Idle || s.Phase == Retiring || isHash(s.Target.RootHash), "target has no root hash"},
		{s.Phase != Rebooting || s.BootID != "", "boot ID is missing"},
		{s.Newest == "" || release.ValidVersion(s.Newest), "newest is not a version"},
		{len(s.Reports) <= maxReports, "there are too many reports"},
		{len(s.Failed) <= maxFailed, "there are too many failed releases"},
		{len(s.Baseline) <= maxUnits, "the baseline has too many units"},
		{len(s.NoDelta) <= maxNoDelta, "there are too many versions without a delta"},
		{s.Begun >= 0, "begun is negative"},
		{s.Lost.Times >= 0, "lost is negative"},
		{s.Told >= 0, "told is negative"},
		{s.numbered(), "reports are not in order"},
	} {
		if !check.ok {
			return check.what
		}
	}
	return ""
}

func (s State) numbered() bool {
	last := int64(0)
	for _, r := range s.Reports {
		if r.Number <= last || r.Number > s.Reported {
			return false
		}
		last = r.Number
	}
	return s.Reported >= 0
}

func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}

// shorten bounds a text that came from outside, and makes it one line that prints.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			return r
		}
		return '?'
	}, s)
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + " …"
}

func bounded(units []string) []string {
	if len(units) > maxUnits {
		units = units[:maxUnits]
	}
	return slices.Clone(units)
}
