package pack

import (
	"io"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
)

// ReadManifest reads the manifest of a payload; r is then at the start of its data.
func ReadManifest(r io.Reader) (*payload.Manifest, error) {
	prefix := make([]byte, payload.PrefixSizeBytes)
	if _, err := io.ReadFull(r, prefix); err != nil {
		return nil, fault.New(fault.Corrupt, "payload ends in its prefix: %w", err)
	}
	end, err := payload.ParsePrefix(prefix)
	if err != nil {
		return nil, err
	}
	head := make([]byte, end)
	copy(head, prefix)
	if _, err := io.ReadFull(r, head[payload.PrefixSizeBytes:]); err != nil {
		return nil, fault.New(fault.Corrupt, "payload ends in its manifest: %w", err)
	}
	return payload.Parse(head)
}
