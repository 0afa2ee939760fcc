package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"conifer.dev/conifer/internal/fault"
)

// source reads a payload over HTTP from any offset. The bytes are verified by who reads them; a server that answers
// with another file is found out there.
type source struct {
	client    *http.Client
	url       string
	sizeBytes int64

	mu   sync.Mutex
	etag string // of the first answer: a later part must be of the same file
}

// Open implements install.Source.
func (s *source) Open(ctx context.Context, offset int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	resp, err := s.ask(ctx, offset)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	body := newStalling(&closing{resp.Body, cancel, ctx}, cancel)
	if err := s.place(resp, body, offset); err != nil {
		body.Close()
		return nil, err
	}
	return body, nil
}

func (s *source) ask(ctx context.Context, offset int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "payload: %w", err)
	}
	req.Header.Set("User-Agent", clientName)
	// A proxy that compresses would make offsets meaningless.
	req.Header.Set("Accept-Encoding", "identity")
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		if etag := s.tag(); etag != "" {
			req.Header.Set("If-Range", etag)
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "%w", err)
	}
	return resp, nil
}

// place brings an answer to the offset that was asked for. A server without ranges sends the whole file again.
func (s *source) place(resp *http.Response, body io.Reader, offset int64) error {
	switch resp.StatusCode {
	case http.StatusOK:
		if resp.ContentLength >= 0 && resp.ContentLength != s.sizeBytes {
			return s.wrongSize(resp.ContentLength)
		}
		s.remember(resp.Header.Get("ETag"))
		if _, err := io.CopyN(io.Discard, body, offset); err != nil {
			return fault.New(fault.Unavailable, "skip %d bytes of %s: %w", offset, s.url, err)
		}
		return nil
	case http.StatusPartialContent:
		var from, to, total int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); err != nil || from != offset {
			return fault.New(fault.Corrupt, "%s answered with the range %q, want one from byte %d", s.url, resp.Header.Get("Content-Range"), offset)
		}
		if total != s.sizeBytes {
			return s.wrongSize(total)
		}
		return nil
	case http.StatusRequestedRangeNotSatisfiable:
		return fault.New(fault.Corrupt, "%s has no byte %d, want %d bytes", s.url, offset, s.sizeBytes)
	}
	return fault.New(kindOfStatus(resp.StatusCode), "%s answered with status %d", s.url, resp.StatusCode)
}

func (s *source) wrongSize(got int64) error {
	return fault.New(fault.Corrupt, "%s has %d bytes, want %d", s.url, got, s.sizeBytes).
		WithHint("The mirror does not have the file that was signed.")
}

func (s *source) tag() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.etag
}

// remember keeps a strong ETag; RFC 9110 13.1.5 wants no other in If-Range.
func (s *source) remember(etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.HasPrefix(etag, "W/") {
		s.etag = etag
	}
}

// closing ends its request when it is closed, and gives the cause of a cancelled read.
type closing struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
	ctx    context.Context
}

func (c *closing) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil && err != io.EOF && c.ctx.Err() != nil {
		err = context.Cause(c.ctx)
	}
	return n, err
}

func (c *closing) Close() error {
	defer c.cancel(nil)
	return c.ReadCloser.Close()
}
