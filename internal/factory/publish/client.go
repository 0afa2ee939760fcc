package publish

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// Client sends files to the service as an administrator.
type Client struct {
	server string // URL without a slash at its end
	token  string
	http   *http.Client
}

// NewClient makes a client of the service at a URL. An upload may last as long as it moves; the answer to it may not.
func NewClient(server, token string) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 5 * time.Minute // the service digests and syncs a whole file before it answers
	return &Client{server: strings.TrimRight(server, "/"), token: token, http: &http.Client{Transport: transport}}
}

// do sends one request and turns an answer that is not a success into an error of the kind that the service named.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "ask the service: %w", err).WithHint("Is %s the service's address?", c.server)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(req, resp)
}

func refusal(req *http.Request, resp *http.Response) error {
	var said struct{ Message, Hint string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(text, &said) != nil || said.Message == "" {
		said.Message = resp.Status
	}
	return fault.New(fault.FromHTTPStatus(resp.StatusCode), "%s %s: %s", req.Method, req.URL.Path, said.Message).WithHint("%s", said.Hint)
}

func (c *Client) fileURL(name string) string { return c.server + "/v1/files/" + name }

// Small reads a whole file of at most maxBytes.
func (c *Client) Small(ctx context.Context, name string, maxBytes int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.fileURL(name), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return trust.ReadAll(resp.Body, maxBytes)
}

// has reports whether the service says that it has exactly these bytes: by an ETag that is their digest.
func (c *Client) has(ctx context.Context, name string, sizeBytes int64, sha256 string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, c.fileURL(name), nil)
	if err != nil {
		return false, err
	}
	resp, err := c.do(req)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	resp.Body.Close()
	return resp.ContentLength == sizeBytes && resp.Header.Get("ETag") == `"sha256:`+sha256+`"`, nil
}

// upload sends a file of a release unless the service has it.
func (c *Client) upload(ctx context.Context, name, file string, a release.Artifact, count func(int64)) error {
	had, err := c.has(ctx, name, a.SizeBytes, a.SHA256)
	if err != nil || had {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.Put(ctx, name, &counting{f, count}, a.SizeBytes, a.SHA256)
}

// counting tells how far the reading of an upload is.
type counting struct {
	r     io.Reader
	count func(int64)
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.count(int64(n))
	return n, err
}

// Put sends one file. The digest goes with it, so that the service refuses one that was damaged on the way.
func (c *Client) Put(ctx context.Context, name string, body io.Reader, sizeBytes int64, sha256 string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.fileURL(name), body)
	if err != nil {
		return err
	}
	req.ContentLength = sizeBytes
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("X-Content-SHA256", sha256)
	resp, err := c.do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
