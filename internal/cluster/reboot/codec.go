package reboot

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Format is the version of the encoded state that this package reads and writes.
const Format = 1

// MaxSlots bounds the state: it is one value in etcd, which takes 1.5 MiB.
const MaxSlots = 500

type encodedState struct {
	Format  int             `json:"format"`
	Slots   int             `json:"slots"`
	Holders []encodedHolder `json:"holders"`
}

type encodedHolder struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// Validate checks every fact of a state at rest; its errors are of kind Invalid. Step itself checks nothing,
// so a wrong id or number of slots is found here, before it is stored.
func (s State) Validate() error {
	if s.Slots < 0 || s.Slots > MaxSlots {
		return fault.New(fault.Invalid, "number of slots is %d, want 0 to %d", s.Slots, MaxSlots)
	}
	if len(s.Holders) > MaxSlots {
		return fault.New(fault.Invalid, "reboot lock has %d holders, more than %d", len(s.Holders), MaxSlots)
	}
	seen := map[string]bool{}
	for _, h := range s.Holders {
		switch {
		case !fleetlock.ValidID(h.ID):
			return fault.New(fault.Invalid, "holder id %q is not a client id", h.ID)
		case seen[h.ID]:
			return fault.New(fault.Invalid, "holder %s is there twice", h.ID)
		case h.Since.IsZero() || h.Since.Location() != time.UTC || h.Since.Nanosecond() != 0:
			return fault.New(fault.Invalid, "holder %s is there since %v, want whole seconds in UTC", h.ID, h.Since)
		case h.Since.Year() < 0 || h.Since.Year() > 9999: // what RFC 3339 cannot say
			return fault.New(fault.Invalid, "holder %s is there since the year %d", h.ID, h.Since.Year())
		}
		seen[h.ID] = true
	}
	return nil
}

// Encode writes the state for storage. Equal states give equal bytes.
func (s State) Encode() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	e := encodedState{Format: Format, Slots: s.Slots, Holders: []encodedHolder{}}
	for _, h := range s.Holders {
		e.Holders = append(e.Holders, encodedHolder(h))
	}
	return json.Marshal(e)
}

// Parse reads a stored state. Its errors are of kind Corrupt, because only this package writes it, and
// Unsupported for another format version.
func Parse(text []byte) (State, error) {
	var probe struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &probe); err != nil {
		return State{}, fault.New(fault.Corrupt, "parse reboot lock: %w", err)
	}
	if probe.Format != Format {
		return State{}, fault.New(fault.Unsupported, "reboot lock has format %d, want %d", probe.Format, Format).
			WithHint("A newer conifer-cluster wrote it: update this one.")
	}
	var e encodedState
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return State{}, fault.New(fault.Corrupt, "parse reboot lock: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return State{}, fault.New(fault.Corrupt, "parse reboot lock: data after the end")
	}
	s := State{Slots: e.Slots}
	for _, h := range e.Holders {
		s.Holders = append(s.Holders, Holder{ID: h.ID, Since: h.Since.UTC()})
	}
	if err := s.Validate(); err != nil {
		return State{}, fault.New(fault.Corrupt, "parse reboot lock: %w", err)
	}
	return s, nil
}
