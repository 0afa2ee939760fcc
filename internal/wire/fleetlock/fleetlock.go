// Package fleetlock is the FleetLock protocol between a machine and its cluster: who may reboot now.
//
// A machine starts with [NewCall] and [ParseReply], a server with [CheckHeader], [ParseRequest] and
// [ErrorOf]. The package is pure: it sends nothing and holds no lock (that is internal/cluster/reboot). It
// follows the protocol as Zincati documents it
// (https://coreos.github.io/zincati/development/fleetlock/protocol/); docs/protocol/fleetlock.md states what we
// add to it, with vectors.
package fleetlock

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"unicode"
	"unicode/utf8"

	"conifer.dev/conifer/internal/fault"
)

// The endpoints, relative to the base URL. Both take a POST and both are idempotent.
const (
	PreReboot   = "/v1/pre-reboot"   // take a slot of the reboot lock
	SteadyState = "/v1/steady-state" // give it back
)

// The header that every request carries, so that a redirected request for something else locks nothing.
const (
	HeaderName  = "fleet-lock-protocol"
	HeaderValue = "true"
)

// MaxBytes limits the body of a request and of a reply.
const MaxBytes = 4 << 10

// DefaultGroup is the group of a machine that was not told another.
const DefaultGroup = "default"

// Limits of a name, in bytes. The protocol has none; a lock's state must stay small.
const (
	maxIDBytes    = 256
	maxGroupBytes = 128
)

// Params are the client_params of a request: which machine asks, and in which group it reboots.
type Params struct {
	ID    string `json:"id"`
	Group string `json:"group"`
}

var groupForm = regexp.MustCompile(`^[a-zA-Z0-9.-]+$`)

// ValidGroup reports whether name may be a group; the form is the protocol's.
func ValidGroup(name string) bool { return len(name) <= maxGroupBytes && groupForm.MatchString(name) }

// ValidID reports whether id may name a machine: any text that prints on one line.
func ValidID(id string) bool {
	if id == "" || len(id) > maxIDBytes || !utf8.ValidString(id) {
		return false
	}
	for _, r := range id {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// Validate checks the names; its errors are of kind Invalid.
func (p Params) Validate() error {
	if !ValidID(p.ID) {
		return fault.New(fault.Invalid, "client id is not 1 to %d bytes of printable text", maxIDBytes)
	}
	if !ValidGroup(p.Group) {
		return fault.New(fault.Invalid, "group is not 1 to %d letters, digits, dots and hyphens", maxGroupBytes)
	}
	return nil
}

// Encode writes the body of a request.
func (p Params) Encode() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return encodeJSON(struct {
		Params Params `json:"client_params"`
	}{p})
}

// encodeJSON keeps <, > and & as they are: the body is never part of a page.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// CheckHeader judges the values of [HeaderName] in a request.
func CheckHeader(values []string) error {
	if len(values) == 1 && values[0] == HeaderValue {
		return nil
	}
	return fault.New(fault.Invalid, "header %s is not %q", HeaderName, HeaderValue)
}

// ParseRequest reads the body of a request. Members that the protocol does not define are passed over, so
// that a newer client is not kept from rebooting; everything else that is wrong is an error of kind Invalid.
func ParseRequest(body []byte) (Params, error) {
	request, err := parseObject(body)
	if err != nil {
		return Params{}, fault.New(fault.Invalid, "parse request: %w", err)
	}
	members, err := parseObject(request["client_params"])
	if err != nil {
		return Params{}, fault.New(fault.Invalid, "parse client_params: %w", err)
	}
	var p Params
	if p.ID, err = text(members, "id"); err != nil {
		return Params{}, err
	}
	if p.Group, err = text(members, "group"); err != nil {
		return Params{}, err
	}
	if err := p.Validate(); err != nil {
		return Params{}, err
	}
	return p, nil
}

// text returns a member that has to be a string.
func text(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", fault.New(fault.Invalid, "member %s is missing", name)
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", fault.New(fault.Invalid, "member %s is not a string", name)
	}
	return *s, nil
}

// parseObject reads exactly one JSON object. Unlike encoding/json into a struct it tells "id" from "ID" and
// refuses a name that is there twice: two readers of the same body must not see two machines.
func parseObject(body []byte) (map[string]json.RawMessage, error) {
	switch {
	case len(body) > MaxBytes:
		return nil, fault.New(fault.Invalid, "body is longer than %d bytes", MaxBytes)
	case !utf8.Valid(body):
		return nil, fault.New(fault.Invalid, "body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, fault.New(fault.Invalid, "not a JSON object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		if err := parseMember(dec, members); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fault.New(fault.Invalid, "data after the end of the object")
	}
	return members, nil
}

func parseMember(dec *json.Decoder, members map[string]json.RawMessage) error {
	key, err := dec.Token()
	if err != nil {
		return err
	}
	name := key.(string) // the decoder accepts nothing else as a key
	if _, twice := members[name]; twice {
		return fault.New(fault.Invalid, "member %q is there twice", name)
	}
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return err
	}
	members[name] = value
	return nil
}
