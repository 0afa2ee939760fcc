package client

import (
	"context"
	"time"

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

// SetRelease changes what an operator says about a release.
func (c *Client) SetRelease(ctx context.Context, app, arch, version string, patch admin.ReleasePatch) error {
	return c.call(ctx, "PATCH", path("releases", version), values("app", app, "arch", arch), patch, nil)
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

// AddChannel makes a channel that points nowhere yet.
func (c *Client) AddChannel(ctx context.Context, app, name string) error {
	return c.call(ctx, "POST", "channels", nil, admin.NewChannel{App: app, Name: name}, nil)
}

// RemoveChannel removes a channel that no group follows.
func (c *Client) RemoveChannel(ctx context.Context, app, name string) error {
	return c.call(ctx, "DELETE", path("channels", name), values("app", app), nil, nil)
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

// Group is a group with its machines counted.
func (c *Client) Group(ctx context.Context, app, name string) (g admin.GroupStatus, err error) {
	err = c.call(ctx, "GET", path("groups", name), values("app", app), nil, &g)
	return g, err
}

// RemoveGroup removes a group with its rollouts.
func (c *Client) RemoveGroup(ctx context.Context, app, name string) error {
	return c.call(ctx, "DELETE", path("groups", name), values("app", app), nil, nil)
}

// Rollouts lists a group's rollouts, the newest first.
func (c *Client) Rollouts(ctx context.Context, app, group string) (rollouts []admin.RolloutStatus, err error) {
	err = c.call(ctx, "GET", path("groups", group, "rollouts"), values("app", app), nil, &rollouts)
	return rollouts, err
}

// SpeedUp lets a rollout ignore percent and windows, or heed them again.
func (c *Client) SpeedUp(ctx context.Context, app, group, arch, version string, on bool) error {
	return c.call(ctx, "PUT", path("groups", group, "rollouts", version, "emergency"), values("app", app, "arch", arch), admin.Emergency{On: on}, nil)
}

// Samples is a group's time series, the oldest first. Step 0 is the finest, and a zero since is what fits a picture.
func (c *Client) Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) (samples []store.Sample, err error) {
	query := values("app", app)
	if step != 0 {
		query.Set("step", step.String())
	}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	err = c.call(ctx, "GET", path("groups", group, "samples"), query, nil, &samples)
	return samples, err
}

// Machines lists machines of an application; group and state may be empty, and limit 0 is the service's own.
func (c *Client) Machines(ctx context.Context, app, group, state string, max int) ([]store.Machine, error) {
	return c.Find(ctx, app, Filter{Group: group, State: state, Limit: max})
}

// Filter chooses machines; what is empty chooses all.
type Filter struct {
	Group, State, Version string
	After                 string // id of the last machine of the answer before
	Limit                 int    // 0 is the service's own
}

// Find lists the machines of an application that the filter chooses, by their ids.
func (c *Client) Find(ctx context.Context, app string, f Filter) (machines []store.Machine, err error) {
	query := values("app", app, "group", f.Group, "state", f.State, "version", f.Version, "after", f.After, "limit", limit(f.Limit))
	err = c.call(ctx, "GET", "machines", query, nil, &machines)
	return machines, err
}

// Machine is a machine with what it reported.
func (c *Client) Machine(ctx context.Context, app, id string) (m admin.MachineHistory, err error) {
	err = c.call(ctx, "GET", path("machines", id), values("app", app), nil, &m)
	return m, err
}

// ForgetMachine removes a machine; it is known again when it next asks.
func (c *Client) ForgetMachine(ctx context.Context, app, id string) error {
	return c.call(ctx, "DELETE", path("machines", id), values("app", app), nil, nil)
}

// PinMachine holds a machine at a release.
func (c *Client) PinMachine(ctx context.Context, app, id string, pin admin.Pin) error {
	return c.call(ctx, "PUT", path("machines", id, "pin"), values("app", app), pin, nil)
}

// UnpinMachine lets a machine follow its group again.
func (c *Client) UnpinMachine(ctx context.Context, app, id string) error {
	return c.call(ctx, "DELETE", path("machines", id, "pin"), values("app", app), nil, nil)
}

// Events lists what happened to a machine, or with id "" to all, the newest first.
func (c *Client) Events(ctx context.Context, app, id string, max int) (events []store.Event, err error) {
	route := "events"
	if id != "" {
		route = path("machines", id, "events")
	}
	err = c.call(ctx, "GET", route, values("app", app, "limit", limit(max)), nil, &events)
	return events, err
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
