package client

import (
	"context"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// Apps lists the applications.
func (c *Client) Apps(ctx context.Context) (apps []store.App, err error) {
	err = c.call(ctx, "GET", "apps", nil, nil, &apps)
	return apps, err
}

// AddApp adds an application.
func (c *Client) AddApp(ctx context.Context, app store.App) error {
	return c.call(ctx, "POST", "apps", nil, app, nil)
}

// Releases lists the releases of an application, the newest first.
func (c *Client) Releases(ctx context.Context, app string) (releases []admin.ReleaseStatus, err error) {
	err = c.call(ctx, "GET", "releases", values("app", app), nil, &releases)
	return releases, err
}

// AddRelease registers a release; no channel points at it.
func (c *Client) AddRelease(ctx context.Context, r store.Release) error {
	return c.call(ctx, "POST", "releases", nil, r, nil)
}

// Release is one release with what became of it.
func (c *Client) Release(ctx context.Context, app, arch, version string) (r admin.ReleaseStatus, err error) {
	err = c.call(ctx, "GET", path("releases", version), values("app", app, "arch", arch), nil, &r)
	return r, err
}

// ForgetRelease removes a release that no channel points at.
func (c *Client) ForgetRelease(ctx context.Context, app, arch, version string) error {
	return c.call(ctx, "DELETE", path("releases", version), values("app", app, "arch", arch), nil, nil)
}

// Halt stops a release from being offered.
func (c *Client) Halt(ctx context.Context, app, arch, version, reason string) error {
	return c.call(ctx, "PUT", path("releases", version, "halt"), values("app", app, "arch", arch), admin.Halt{Reason: reason}, nil)
}

// Resume lets a halted release be offered again.
func (c *Client) Resume(ctx context.Context, app, arch, version string) error {
	return c.call(ctx, "DELETE", path("releases", version, "halt"), values("app", app, "arch", arch), nil, nil)
}

// Channels lists the channels of an application.
func (c *Client) Channels(ctx context.Context, app string) (channels []store.Channel, err error) {
	err = c.call(ctx, "GET", "channels", values("app", app), nil, &channels)
	return channels, err
}

// SetChannel points a channel at a release.
func (c *Client) SetChannel(ctx context.Context, name string, target admin.ChannelTarget) error {
	return c.call(ctx, "PUT", path("channels", name), nil, target, nil)
}

// Groups lists the groups of an application.
func (c *Client) Groups(ctx context.Context, app string) (groups []store.Group, err error) {
	err = c.call(ctx, "GET", "groups", values("app", app), nil, &groups)
	return groups, err
}

// SetGroup changes a group, or makes it.
func (c *Client) SetGroup(ctx context.Context, name string, patch admin.GroupPatch) (group store.Group, err error) {
	err = c.call(ctx, "PATCH", path("groups", name), nil, patch, &group)
	return group, err
}

// Machines lists machines of an application; group and state may be empty, and limit 0 is the service's own.
func (c *Client) Machines(ctx context.Context, app, group, state string, max int) (machines []store.Machine, err error) {
	err = c.call(ctx, "GET", "machines", values("app", app, "group", group, "state", state, "limit", limit(max)), nil, &machines)
	return machines, err
}

// Machine is a machine with what it reported.
func (c *Client) Machine(ctx context.Context, app, id string) (m admin.MachineHistory, err error) {
	err = c.call(ctx, "GET", path("machines", id), values("app", app), nil, &m)
	return m, err
}

// Explain says what a machine would be answered now, and why.
func (c *Client) Explain(ctx context.Context, app, id string) (e admin.Explanation, err error) {
	err = c.call(ctx, "GET", path("machines", id, "explain"), values("app", app), nil, &e)
	return e, err
}

// Retry lets a machine be offered again what it failed on: one release, or all when version is empty.
func (c *Client) Retry(ctx context.Context, app, id, version string) (retried []store.Bar, err error) {
	err = c.call(ctx, "POST", path("machines", id, "retry"), values("app", app), admin.Retry{Release: version}, &retried)
	return retried, err
}

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
