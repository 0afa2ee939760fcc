package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// Upload brings every release of the repository and its metadata to the service. The order makes each moment
// consistent for machines: payloads, then the description of their release, deltas and their list, then the metadata from the
// targets outwards, and root last, because it may take keys away (see Rotate). Only a list of deltas that was changed is for
// a moment not the one that the metadata name: machines take the full payload then. Running it again sends what is missing.
func (r *Repository) Upload(ctx context.Context, c *Client, step pack.Step) error {
	view, cache, err := r.read(r.Now)
	if err != nil {
		return err
	}
	for _, target := range releasePaths(view) {
		if err := r.uploadRelease(ctx, c, view, target, step); err != nil {
			return fmt.Errorf("upload %s: %w", target, err)
		}
	}
	for _, target := range pathsOf(view, release.DeltasName) {
		if err := r.uploadDeltas(ctx, c, view, target, step); err != nil {
			return fmt.Errorf("upload %s: %w", target, err)
		}
	}
	if err := r.uploadMetadata(ctx, c, view, cache); err != nil {
		return fmt.Errorf("upload metadata: %w", err)
	}
	return nil
}

// uploadRelease sends one release's folder. The service keeps what was uploaded as it is, and release.json comes last:
// where it is, the rest is.
func (r *Repository) uploadRelease(ctx context.Context, c *Client, view *trust.View, target string, step pack.Step) error {
	text, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(target)))
	if err != nil {
		return err
	}
	rel, _, err := view.Release(target, text)
	if err != nil {
		return err
	}
	have, err := c.Small(ctx, target, trust.MaxReleaseSizeBytes)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && bytes.Equal(have, text) {
		return nil
	}
	for _, a := range rel.Artifacts {
		if a.Kind == release.KindDisk {
			continue
		}
		if err := r.uploadFile(ctx, c, target, a, step); err != nil {
			return err
		}
	}
	return c.Put(ctx, target, bytes.NewReader(text), int64(len(text)), digest(text))
}

// uploadFile sends a file that is beside a target.
func (r *Repository) uploadFile(ctx context.Context, c *Client, target string, a release.Artifact, step pack.Step) error {
	count, end := step("upload "+a.Name, a.SizeBytes)
	defer end()
	return c.upload(ctx, path.Join(path.Dir(target), a.Name), filepath.Join(r.folder(target), a.Name), a, count)
}

// uploadMetadata sends the newest metadata and every root.
func (r *Repository) uploadMetadata(ctx context.Context, c *Client, view *trust.View, cache trust.Cache) error {
	files := []struct {
		name string
		b    []byte
	}{
		{fmt.Sprintf("%d.%s", view.TargetsVersion, trust.TargetsName), cache[trust.TargetsName]},
		{fmt.Sprintf("%d.%s", view.SnapshotVersion, trust.SnapshotName), cache[trust.SnapshotName]},
		{trust.TimestampName, cache[trust.TimestampName]},
	}
	for v := int64(1); v <= view.RootVersion; v++ {
		files = append(files, struct {
			name string
			b    []byte
		}{rootName(v), cache[rootName(v)]})
	}
	for _, f := range files {
		if err := c.Put(ctx, trust.Folder+f.name, bytes.NewReader(f.b), int64(len(f.b)), digest(f.b)); err != nil {
			return err
		}
	}
	return nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
