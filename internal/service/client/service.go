package client

import (
	"context"
	"net/http"
	"time"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// Activity lists what was done, the newest first.
func (c *Client) Activity(ctx context.Context, max int) (entries []store.Activity, err error) {
	err = c.call(ctx, "GET", "activity", values("limit", limit(max)), nil, &entries)
	return entries, err
}

// FileUsage lists what was sent of each file to each address since the service started.
func (c *Client) FileUsage(ctx context.Context) (uses []admin.Use, err error) {
	err = c.call(ctx, "GET", path("files", "usage"), nil, nil, &uses)
	return uses, err
}

// Tokens lists the tokens, without their secrets.
func (c *Client) Tokens(ctx context.Context) (tokens []store.Token, err error) {
	err = c.call(ctx, "GET", "tokens", nil, nil, &tokens)
	return tokens, err
}

// AddToken makes a token; its secret is told this once.
func (c *Client) AddToken(ctx context.Context, asked admin.TokenRequest) (token admin.NewToken, err error) {
	err = c.call(ctx, "POST", "tokens", nil, asked, &token)
	return token, err
}

// RemoveToken makes a token worthless.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	return c.call(ctx, "DELETE", path("tokens", id), nil, nil, nil)
}

// Configuration exports the configuration.
func (c *Client) Configuration(ctx context.Context) (all admin.Configuration, err error) {
	err = c.call(ctx, "GET", "configuration", nil, nil, &all)
	return all, err
}

// Apply applies a configuration, or tells what that would do.
func (c *Client) Apply(ctx context.Context, wanted admin.Apply) (applied admin.Applied, err error) {
	err = c.call(ctx, "POST", "configuration", nil, wanted, &applied)
	return applied, err
}

// Backup copies the database into the service's data folder. It takes as long as the database is large.
func (c *Client) Backup(ctx context.Context) (made admin.Backup, err error) {
	patient := *c
	patient.http = &http.Client{Transport: c.http.Transport, Timeout: backupTime}
	err = patient.call(ctx, "POST", "backup", nil, nil, &made)
	return made, err
}

// backupTime is as long as the service lets it take.
const backupTime = 30 * time.Minute
