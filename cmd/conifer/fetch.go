package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// fetch downloads the files of a release, fills in what is not known of them, and compares the rest. Nothing is kept.
func (c *command) fetch(ctx context.Context, r *store.Release) error {
	payload := store.File{Name: r.File, SizeBytes: r.SizeBytes, SHA256: r.SHA256}
	if err := c.measure(ctx, r.URL, &payload); err != nil {
		return err
	}
	r.SizeBytes, r.SHA256 = payload.SizeBytes, payload.SHA256
	for i := range r.Extra {
		if err := c.measure(ctx, r.URL, &r.Extra[i]); err != nil {
			return err
		}
	}
	return nil
}

// measure downloads one file of a folder.
func (c *command) measure(ctx context.Context, folder string, file *store.File) error {
	if !strings.Contains(folder, "://") {
		folder = c.server + "/v1/files/" + folder // as the service would serve it
	}
	address, err := url.JoinPath(folder, file.Name)
	if err != nil {
		return fault.New(fault.Invalid, "--url %q is not a URL: %w", folder, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	request.Header.Set("Accept-Encoding", "identity") // the bytes as machines get them
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "fetch %s: %w", address, err).WithHint("Give --size and --sha256 instead, if the file cannot be reached from here.")
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fault.New(fault.FromHTTPStatus(answer.StatusCode), "fetch %s: %s", address, answer.Status).
			WithHint("--url is the folder, and --file the name of the payload in it.")
	}
	progress := cli.NewProgress(c.env.Stderr, "fetch "+file.Name, max(answer.ContentLength, 0))
	defer progress.End()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(sum, progress), answer.Body)
	if err != nil {
		return fault.New(fault.Unavailable, "fetch %s: %w", address, err).WithHint("Try again.")
	}
	return learn(file, size, hex.EncodeToString(sum.Sum(nil)))
}

// learn takes what was measured, which must be what was given.
func learn(file *store.File, size int64, sum string) error {
	const hint = "Take size and sha256 from the publisher again; if they are right, the file there is not the publisher's."
	if file.SizeBytes != 0 && file.SizeBytes != size {
		return fault.New(fault.Corrupt, "%s has %d bytes, want %d", file.Name, size, file.SizeBytes).WithHint(hint)
	}
	if file.SHA256 != "" && file.SHA256 != sum {
		return fault.New(fault.Corrupt, "%s has sha256 %s, want %s", file.Name, sum, file.SHA256).WithHint(hint)
	}
	file.SizeBytes, file.SHA256 = size, sum
	return nil
}
