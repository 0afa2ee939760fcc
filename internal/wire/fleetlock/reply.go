package fleetlock

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"conifer.dev/conifer/internal/fault"
)

// Call is what a machine sends: a POST with these parts.
type Call struct {
	URL    string
	Header map[string]string
	Body   []byte
}

// NewCall prepares a request to an endpoint ([PreReboot] or [SteadyState]) below the base URL.
func NewCall(base, endpoint string, p Params) (Call, error) {
	u, err := url.Parse(base)
	if err != nil {
		return Call{}, fault.New(fault.Invalid, "lock server: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return Call{}, fault.New(fault.Invalid, "lock server %q is not of the form http(s)://HOST[/PATH]", u.Redacted())
	}
	body, err := p.Encode()
	if err != nil {
		return Call{}, err
	}
	header := map[string]string{HeaderName: HeaderValue, "Content-Type": "application/json"}
	return Call{URL: u.JoinPath(endpoint).String(), Header: header, Body: body}, nil
}

// The kinds of a refusal. The protocol asks that there be few, because clients count them.
const (
	KindFull         = "failed_lock_semaphore_full" // the protocol's own example
	KindUnknownGroup = "unknown_group"
	KindInvalid      = "invalid_request"
	KindUnavailable  = "unavailable"
	KindInternal     = "internal_error"
)

// wireKinds says which kind of refusal stands for which kind of error.
var wireKinds = []struct {
	wire string
	kind fault.Kind
}{
	{KindFull, fault.Busy},
	{KindUnknownGroup, fault.NotFound},
	{KindInvalid, fault.Invalid},
	{KindUnavailable, fault.Unavailable},
	{KindInternal, fault.Internal},
}

// Error is the body of a refusal.
type Error struct {
	Kind  string `json:"kind"`
	Value string `json:"value"` // for people
}

// maxValueBytes leaves room for JSON to escape every byte of a value within MaxBytes.
const maxValueBytes = 512

// ErrorOf tells err to a client. Kinds that the protocol has no use for are told as an internal error.
func ErrorOf(err error) Error {
	value := strings.ToValidUTF8(err.Error(), "?")
	for len(value) > maxValueBytes {
		_, last := utf8.DecodeLastRuneInString(value)
		value = value[:len(value)-last]
	}
	kind := fault.KindOf(err)
	for _, row := range wireKinds {
		if row.kind == kind {
			return Error{row.wire, value}
		}
	}
	return Error{KindInternal, value}
}

// Status is the HTTP status that goes with a refusal.
func (e Error) Status() int {
	for _, row := range wireKinds {
		if row.wire == e.Kind {
			return row.kind.HTTPStatus()
		}
	}
	return fault.Internal.HTTPStatus()
}

// Encode writes the body of a refusal.
func (e Error) Encode() ([]byte, error) {
	if e.Kind == "" || e.Value == "" {
		return nil, fault.New(fault.Invalid, "a refusal lacks its kind or value")
	}
	return encodeJSON(e)
}

// ParseError reads the body of a refusal.
func ParseError(body []byte) (Error, error) {
	members, err := parseObject(body)
	if err != nil {
		return Error{}, fault.New(fault.Invalid, "parse refusal: %w", err)
	}
	var e Error
	if e.Kind, err = text(members, "kind"); err != nil {
		return Error{}, err
	}
	if e.Value, err = text(members, "value"); err != nil {
		return Error{}, err
	}
	if e.Kind == "" || e.Value == "" {
		return Error{}, fault.New(fault.Invalid, "a refusal lacks its kind or value")
	}
	return e, nil
}

// statusLocked is what some servers answer with when no slot is free.
const statusLocked = 423

// ParseReply judges what a server answered: nil for 200, and for nothing else, means that it did what was
// asked. The error's kind is Busy when the slots are taken, and otherwise the best guess from kind and
// status; whatever it is, the machine asks again later.
func ParseReply(status int, body []byte) error {
	if status == 200 {
		return nil
	}
	refusal, err := ParseError(body)
	if err != nil {
		return fault.New(kindOfStatus(status), "lock server answered with status %d", status)
	}
	return fault.New(kindOf(status, refusal.Kind), "lock server refused (%d %s): %s", status, refusal.Kind, refusal.Value)
}

func kindOf(status int, wire string) fault.Kind {
	for _, row := range wireKinds {
		if row.wire == wire {
			return row.kind
		}
	}
	return kindOfStatus(status)
}

func kindOfStatus(status int) fault.Kind {
	switch {
	case status == statusLocked:
		return fault.Busy
	case status < 400: // a redirect or an empty success: something else answers there
		return fault.Invalid
	case status == 409: // Conflict and Busy share it; here only Busy makes sense
		return fault.Busy
	}
	return fault.FromHTTPStatus(status)
}
