package agent

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"conifer.dev/conifer/internal/fault"
)

// maxAnswerBytes is more than any answer of the agent has.
const maxAnswerBytes = 1 << 20

// Client asks a running agent over its socket.
type Client struct{ http *http.Client }

// NewClient asks the agent behind a socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: 15 * time.Second}}
}

// Status asks what the agent does.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	return st, c.call(ctx, http.MethodGet, "/status", &st)
}

// Check makes the agent ask the service now.
func (c *Client) Check(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/check", nil)
}

// Retry allows a release that failed here once more.
func (c *Client) Retry(ctx context.Context, version string) error {
	return c.call(ctx, http.MethodPost, "/retry?version="+url.QueryEscape(version), nil)
}

func (c *Client) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "ask the agent: %w", err).
			WithHint("Is it running? `systemctl status conifer-agent`. Only root may ask.")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fault.New(fault.Unavailable, "ask the agent: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp.StatusCode, body)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fault.New(fault.Invalid, "read the agent's answer: %w", err)
	}
	return nil
}

func refusal(status int, body []byte) error {
	var p Problem
	if json.Unmarshal(body, &p) != nil || p.Message == "" {
		return fault.New(fault.FromHTTPStatus(status), "the agent answered with status %d", status)
	}
	return fault.New(fault.FromHTTPStatus(status), "%s", p.Message).WithHint("%s", p.Hint)
}
