package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Client speaks to the admin socket of a running server.
type Client struct {
	socket string
	http   http.Client
}

// Dial prepares a client; nothing is sent yet.
func Dial(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket, http.Client{
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		Timeout:   2 * storeTimeout,
	}}
}

// List returns the locks of all groups, by name.
func (c *Client) List(ctx context.Context) ([]Lock, error) {
	var locks []Lock
	err := c.do(ctx, http.MethodGet, "/v1/locks", nil, &locks)
	return locks, err
}

// Release takes the slot away from a machine.
func (c *Client) Release(ctx context.Context, group, id string) error {
	return c.do(ctx, http.MethodPost, "/v1/locks/release", fleetlock.Params{ID: id, Group: group}, nil)
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	reply, err := c.http.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "no conifer-cluster answers on %s: %w", c.socket, err).
			WithHint("Is it running? Is --data its folder? May you open the socket?")
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return problem(reply)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(reply.Body).Decode(out)
}

func problem(reply *http.Response) error {
	kind := fault.FromHTTPStatus(reply.StatusCode)
	text, _ := io.ReadAll(io.LimitReader(reply.Body, 64<<10))
	var p Problem
	if err := json.Unmarshal(text, &p); err != nil || p.Message == "" {
		return fault.New(kind, "server answered with status %d", reply.StatusCode)
	}
	return fault.New(kind, "%s", p.Message).WithHint("%s", p.Hint)
}
