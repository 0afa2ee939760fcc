package trust

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
)

// peeked is what an error message says of a file that was not accepted.
type peeked struct {
	Type    string                      `json:"_type"`
	Version int64                       `json:"version"`
	Expires time.Time                   `json:"expires"`
	Keys    map[string]*peekedKey       `json:"keys"`
	Roles   map[string]*json.RawMessage `json:"roles"`
	Meta    map[string]*struct {
		Version int64 `json:"version"`
	} `json:"meta"`
	Targets map[string]*json.RawMessage `json:"targets"`
}

type peekedKey struct {
	Type   string `json:"keytype"`
	Scheme string `json:"scheme"`
	Value  struct {
		Public string `json:"public"`
	} `json:"keyval"`
}

func peek(b []byte) peeked {
	var file struct{ Signed peeked }
	_ = json.Unmarshal(b, &file)
	return file.Signed
}

var maxBytes = map[string]int64{
	metadata.ROOT:      MaxRootSizeBytes,
	metadata.TIMESTAMP: MaxTimestampSizeBytes,
	metadata.SNAPSHOT:  MaxSnapshotSizeBytes,
	metadata.TARGETS:   MaxTargetsSizeBytes,
}

// inspect refuses, before any signature is looked at, what is too long, of another role, or of a shape that the
// code behind it need not expect: null where an object belongs, keys that are not Ed25519.
func inspect(name, role string, b []byte) error {
	if err := limited(name, b, maxBytes[role]); err != nil {
		return err
	}
	var file struct {
		Signed *peeked `json:"signed"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return fault.New(fault.Corrupt, "parse %s: %w", name, err)
	}
	if file.Signed == nil || file.Signed.Type != role {
		return fault.New(fault.Untrusted, "%s is not metadata of the role %s", name, role)
	}
	s := file.Signed
	if s.Version < 1 {
		return fault.New(fault.Corrupt, "%s has version %d, want 1 or more", name, s.Version)
	}
	if hasNil(s.Keys) || hasNil(s.Roles) || hasNil(s.Meta) || hasNil(s.Targets) {
		return fault.New(fault.Corrupt, "%s has null where an object belongs", name)
	}
	if role == metadata.TIMESTAMP && s.Meta[SnapshotName] == nil {
		return fault.New(fault.Corrupt, "%s does not name %s", name, SnapshotName)
	}
	return inspectKeys(name, s.Keys)
}

// hasNil finds the JSON null among the values of an object.
func hasNil[V any](m map[string]*V) bool {
	for _, v := range m {
		if v == nil {
			return true
		}
		if raw, ok := any(v).(*json.RawMessage); ok && bytes.Equal(*raw, []byte("null")) {
			return true
		}
	}
	return false
}

// inspectKeys allows Ed25519 alone: one algorithm to trust, no parameters to get wrong.
func inspectKeys(name string, keys map[string]*peekedKey) error {
	for id, k := range keys {
		public, err := hex.DecodeString(k.Value.Public)
		if k.Type != metadata.KeyTypeEd25519 || k.Scheme != metadata.KeySchemeEd25519 || err != nil || len(public) != 32 {
			return fault.New(fault.Unsupported, "%s has the key %.8s, which is not Ed25519", name, id)
		}
	}
	return nil
}

func isVersion(err error) bool { return errors.Is(err, &metadata.ErrBadVersionNumber{}) }
func isEqual(err error) bool   { return errors.Is(err, &metadata.ErrEqualVersionNumber{}) }
func isExpired(err error) bool { return errors.Is(err, &metadata.ErrExpiredMetadata{}) }

// explain gives an error of go-tuf its kind and its file; nil stays nil.
func explain(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return fault.New(fault.Untrusted, "%s is not signed by enough trusted keys: %w", name, err)
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return fault.New(fault.Corrupt, "%s is not the file that its parent names: %w", name, err)
	case errors.Is(err, &metadata.ErrRepository{}), errors.Is(err, &metadata.ErrValue{}):
		return fault.New(fault.Untrusted, "%s is not acceptable: %w", name, err)
	}
	return fault.New(fault.Corrupt, "read %s: %w", name, err)
}
