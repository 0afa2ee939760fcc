// Package client speaks the admin API of the service, for the commands of the operator and for tests.
//
// Start with [New]; every method is one route of the service. An error has the kind and the hint that the service gave
// it. Requests are made once: whoever retries knows better whether that is right.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
)

// Client is a connection to one service, as whoever the token is of.
type Client struct {
	server string
	token  string
	http   *http.Client
}

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 256 << 20

// New makes a client of the service at the URL.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "%q is not the URL of a service", server).WithHint("Give it as --server http://HOST:PORT.")
	}
	return &Client{server: strings.TrimSuffix(server, "/"), token: token, http: &http.Client{Timeout: time.Minute}}, nil
}

// Through makes all requests of the client with the transport.
func (c *Client) Through(transport http.RoundTripper) { c.http.Transport = transport }

// ReadToken reads a token from its file.
func ReadToken(path string) (string, error) {
	if path == "" {
		return "", fault.New(fault.Invalid, "no token is given").WithHint("Name its file: --token-file DATA/admin.token.")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fault.New(fault.Unauthorized, "read the token: %w", err).WithHint("--token-file names the file; `conifer token add` makes one, and the service made DATA/admin.token.")
	}
	return strings.TrimSpace(string(text)), nil
}

// call makes one request. body is sent as JSON unless nil, and the answer decoded into the last argument unless nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(text)
	}
	address := c.server + "/v1/admin/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, sent)
	if err != nil {
		return fault.Wrap(fault.Invalid, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	answer, err := c.http.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "ask the service: %w", err).WithHint("Is the service running, and --server its URL?")
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return fault.New(fault.Unavailable, "read the service's answer: %w", err)
	}
	if answer.StatusCode >= 300 {
		return refusal(answer.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fault.New(fault.Invalid, "the service's answer to %s %s is not the expected JSON: %w", method, path, err)
	}
	return nil
}

// refusal makes an error of an answer: the service's own when it sent one.
func refusal(status int, text []byte) error {
	var e admin.Error
	if json.Unmarshal(text, &e) != nil || e.Message == "" {
		return fault.New(fault.FromHTTPStatus(status), "the service answered with HTTP status %d", status)
	}
	err := fault.New(kind(e.Kind, status), "%s", e.Message)
	if e.Hint != "" {
		err = err.WithHint("%s", e.Hint)
	}
	return err
}

// kind finds a kind by its name, because several share a status.
func kind(name string, status int) fault.Kind {
	for k := fault.Internal; k <= fault.Throttled; k++ {
		if k.String() == name {
			return k
		}
	}
	return fault.FromHTTPStatus(status)
}

// path joins the parts of a route, each escaped.
func path(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func limit(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
