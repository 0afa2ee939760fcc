package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

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

// Verify decodes the whole payload at path as a machine does, and returns its manifest and the SHA-256 of what each
// target becomes. It refuses data after the end.
func Verify(ctx context.Context, path string, count func(bytes int64)) (*payload.Manifest, map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	m, err := ReadManifest(f)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	sums := map[string]string{}
	for _, t := range m.Targets {
		sum, err := decodeTarget(ctx, f, t, count)
		if err != nil {
			return nil, nil, fmt.Errorf("verify %s: %w", path, err)
		}
		sums[t.Name] = hex.EncodeToString(sum.Sum(nil))
	}
	if n, _ := f.Read(make([]byte, 1)); n != 0 {
		return nil, nil, fault.New(fault.Corrupt, "verify %s: bytes after the last operation's data", path)
	}
	return m, sums, nil
}

func decodeTarget(ctx context.Context, r io.Reader, t payload.Target, count func(int64)) (hash.Hash, error) {
	d, err := payload.NewDecoder()
	if err != nil {
		return nil, err
	}
	sum, plain := sha256.New(), make([]byte, payload.MaxOpSizeBytes)
	data := make([]byte, payload.MaxOpSizeBytes)
	for _, op := range t.Ops {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(r, data[:op.DataSizeBytes]); err != nil {
			return nil, fault.New(fault.Corrupt, "payload target %s ends in the data of the operation at offset %d: %w", t.Name, op.Offset, err)
		}
		out, err := d.Decode(op, data[:op.DataSizeBytes], plain)
		if err != nil {
			return nil, err
		}
		sum.Write(out)
		count(op.SizeBytes)
	}
	return sum, nil
}
