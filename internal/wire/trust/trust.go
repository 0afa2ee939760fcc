// Package trust decides which bytes of a repository are the project's: The Update Framework (TUF 1.0), from a
// root of trust that is part of the verified OS to the release.json of one release.
//
// Start with [Refresh], which follows the client workflow of the specification (section 5.3) over a callback, and
// [View.Release], which accepts a release.json. [Admit] refuses downgrades. The package is pure: it opens no
// connection, stores nothing and does not know the time. Nothing that it is given is trusted because of where it
// came from, the cache included. docs/protocol/trust.md has the threats, the limits and the format.
package trust

import (
	"io"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// The limits stop a server that sends without end, and bound what the signatures are computed over.
const (
	MaxRootSizeBytes      = 512 << 10
	MaxTimestampSizeBytes = 16 << 10
	MaxSnapshotSizeBytes  = 256 << 10
	MaxTargetsSizeBytes   = 4 << 20
	MaxReleaseSizeBytes   = 4 << 20 // of one release.json
	MaxRootRotations      = 256     // in one refresh
)

// The names under which the newest metadata of a role is kept in a Cache, and fetched for the first.
const (
	TimestampName = "timestamp.json"
	SnapshotName  = "snapshot.json"
	TargetsName   = "targets.json"
)

// Folder is where a repository has its metadata.
const Folder = "metadata/"

// Fetch reads one file of the repository's metadata folder. It may stop after maxBytes+1 bytes, as [ReadAll] does.
// It answers an error of kind NotFound when, and only when, the repository does not have the file.
type Fetch func(name string, maxBytes int64) ([]byte, error)

// Cache holds metadata files by name: TimestampName, SnapshotName, TargetsName and every N.root.json that was
// needed since the initial root. The caller keeps it between refreshes; without it a replay cannot be noticed.
type Cache map[string][]byte

// ReadAll reads a body for a Fetch: at most one byte more than maxBytes, which Refresh then refuses.
func ReadAll(r io.Reader, maxBytes int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, maxBytes+1))
}

// referenceTime is the time that expiry is judged at. A machine whose clock lost its battery shows a time before its
// own OS was made; it then judges at that moment, so that it neither refuses what is valid nor lives in 1970.
func referenceTime(now, notBefore time.Time) time.Time {
	if now.Before(notBefore) {
		return notBefore
	}
	return now
}

// limited refuses a file that is longer than its limit.
func limited(name string, b []byte, maxBytes int64) error {
	if int64(len(b)) > maxBytes {
		return fault.New(fault.Corrupt, "%s is longer than %d bytes", name, maxBytes)
	}
	return nil
}
