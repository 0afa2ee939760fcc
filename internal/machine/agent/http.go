package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"conifer.dev/conifer/internal/fault"
)

const (
	maxRedirects = 5
	// stallTimeout is how long a download may stand still.
	stallTimeout = time.Minute
)

// newClient makes the client for all peers. It has no limit on a whole exchange, for a payload takes as long as it
// takes; the callers give their contexts one.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			IdleConnTimeout:       time.Minute,
			MaxIdleConnsPerHost:   2,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: checkRedirect,
	}
}

// checkRedirect follows a mirror to another place, but never from TLS to plain text.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if via[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return errors.New("redirect from https to http")
	}
	return nil
}

// exchange sends a request and reads a small answer of at most maxBytes+1 bytes.
func exchange(ctx context.Context, client *http.Client, method, url string, header map[string]string, body []byte, maxBytes int64) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fault.New(fault.Invalid, "request: %w", err)
	}
	req.Header.Set("User-Agent", clientName)
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fault.New(fault.Unavailable, "%w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	if err != nil {
		return 0, nil, fault.New(fault.Unavailable, "read the answer of %s: %w", url, err)
	}
	return resp.StatusCode, text, nil
}

// fetch reads a small file. Kind NotFound means that the server does not have it.
func fetch(ctx context.Context, client *http.Client, url string, maxBytes int64) ([]byte, error) {
	status, body, err := exchange(ctx, client, http.MethodGet, url, nil, nil, maxBytes)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fault.New(kindOfStatus(status), "%s answered with status %d", url, status)
	}
	return body, nil
}

// kindOfStatus is the meaning of a status of a file server: whatever is not plainly the request's fault may pass.
func kindOfStatus(status int) fault.Kind {
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		return fault.NotFound
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.Forbidden
	}
	return fault.Unavailable
}

// stalling ends a body that stands still.
type stalling struct {
	io.ReadCloser
	timer *time.Timer
}

// newStalling calls cancel when no byte arrives for a while.
func newStalling(body io.ReadCloser, cancel context.CancelCauseFunc) *stalling {
	late := func() { cancel(fault.New(fault.Unavailable, "no byte arrived for %s", stallTimeout)) }
	return &stalling{body, time.AfterFunc(stallTimeout, late)}
}

func (s *stalling) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.timer.Reset(stallTimeout)
	if err != nil {
		s.timer.Stop()
	}
	return n, err
}

func (s *stalling) Close() error {
	s.timer.Stop()
	return s.ReadCloser.Close()
}
