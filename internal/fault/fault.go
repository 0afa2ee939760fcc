// Package fault gives an error its meaning: one of a dozen kinds, and a hint that tells a person what to do.
//
// Start with [New] for a leaf that states the violated fact, [Wrap] to give a foreign error a kind, and
// [KindOf] where a caller acts on the meaning. One table maps every kind to an HTTP status, an Omaha error
// code and an exit code, so that all programs answer alike. The package logs nothing and prints nothing.
package fault

import (
	"errors"
	"fmt"
)

// Kind is the meaning of an error, independent of where it arose.
type Kind int

// The kinds. Internal is the zero value: an error nobody classified.
const (
	Internal     Kind = iota // a bug or an unforeseen state
	Invalid                  // the input breaks a rule of its format
	NotFound                 // the named thing does not exist
	Conflict                 // the thing exists already, or changed meanwhile
	Unauthorized             // no credential, or a wrong one
	Forbidden                // the credential does not allow this
	Busy                     // somebody else holds it; try again later
	Unavailable              // a peer does not answer; try again later
	Untrusted                // a signature, a role or a version rule is violated
	Expired                  // signed metadata is past its time
	Corrupt                  // bytes do not have the signed digest or structure
	Exhausted                // no space, no quota
	Unsupported              // a feature or version this program does not know
	Canceled                 // the caller gave up
	Throttled                // too many requests; slow down
)

// meaning is one row of the table: how a kind is told to each kind of peer.
type meaning struct {
	name  string
	http  int
	omaha int // update_engine's ErrorCode, as sent in an event's errorcode attribute
	exit  int
}

// table is indexed by Kind. Omaha codes are those of update_engine's action_processor.h.
var table = [...]meaning{
	Internal:     {"internal", 500, 1, 1},
	Invalid:      {"invalid", 400, 37, 2},
	NotFound:     {"not found", 404, 2, 1},
	Conflict:     {"conflict", 409, 1, 1},
	Unauthorized: {"unauthorized", 401, 2, 1},
	Forbidden:    {"forbidden", 403, 2, 1},
	Busy:         {"busy", 409, 1, 1},
	Unavailable:  {"unavailable", 503, 9, 1},
	Untrusted:    {"untrusted", 403, 12, 1},
	Expired:      {"expired", 403, 2, 1}, // the repository was not refreshed: no release is at fault
	Corrupt:      {"corrupt", 422, 10, 1},
	Exhausted:    {"exhausted", 507, 14, 1},
	Unsupported:  {"unsupported", 501, 21, 1},
	Canceled:     {"canceled", 499, 1, 1},
	Throttled:    {"throttled", 429, 1, 1},
}

func (k Kind) row() meaning {
	if k < 0 || int(k) >= len(table) {
		return table[Internal]
	}
	return table[k]
}

// String returns the kind's name in lower case.
func (k Kind) String() string { return k.row().name }

// HTTPStatus is the status code a server answers with for an error of this kind.
func (k Kind) HTTPStatus() int { return k.row().http }

// OmahaCode is the errorcode of an Omaha failure event for an error of this kind.
func (k Kind) OmahaCode() int { return k.row().omaha }

// ExitCode is what a command exits with: 1 failed, 2 wrong usage or input.
func (k Kind) ExitCode() int { return k.row().exit }

// FromHTTPStatus is the inverse of HTTPStatus for clients. Statuses shared by several kinds
// give the first of them; unknown ones give Unavailable for 5xx and Invalid for 4xx.
func FromHTTPStatus(status int) Kind {
	for k, row := range table {
		if row.http == status {
			return Kind(k)
		}
	}
	if status >= 500 {
		return Unavailable
	}
	return Invalid
}

// Error is an error with a kind and, for people, a hint.
type Error struct {
	Kind Kind
	Hint string // what to do about it, a whole sentence; may be empty
	err  error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the error that was classified.
func (e *Error) Unwrap() error { return e.err }

// New states a violated fact. The format may wrap with %w.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, err: fmt.Errorf(format, args...)}
}

// Wrap classifies err; it returns nil for nil.
func Wrap(kind Kind, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: kind, err: err}
}

// WithHint adds what a person should do. The message is unchanged.
func (e *Error) WithHint(format string, args ...any) *Error {
	return &Error{Kind: e.Kind, Hint: fmt.Sprintf(format, args...), err: e.err}
}

// KindOf finds the outermost kind in err's chain; Internal when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err has a kind, and it is kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// HintOf finds the outermost hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.err
	}
	return ""
}
