package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// rolloutNoun is `conifer rollout`.
func rolloutNoun(c *command) *cobra.Command {
	return parent("rollout", "Roll-outs: a release on its way to a group", c.rolloutList(), c.rolloutShow(),
		c.rolloutSpeed("speed-up", "Ignore percent and windows of one roll-out; limits and the error budget hold", true),
		c.rolloutSpeed("slow-down", "Let percent and windows hold again for one roll-out", false))
}

func (c *command) rolloutList() *cobra.Command {
	var t target
	var group string
	verb := c.verb("list", "List the roll-outs of every group, the newest first", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			groups, err := []string{group}, error(nil)
			if group == "" {
				groups, err = groupNames(ctx, s, t.app)
			}
			if err != nil {
				return err
			}
			var rollouts []admin.RolloutStatus
			for _, g := range groups {
				those, err := s.Rollouts(ctx, t.app, g)
				if err != nil {
					return err
				}
				rollouts = append(rollouts, those...)
			}
			return c.show(list(rollouts), func(w io.Writer) { rolloutRows(w, rollouts) })
		})
	c.appFlag(verb, &t)
	verb.Flags().StringVar(&group, "group", "", "only those to this group")
	c.completeFlag(verb, "group", groupNames)
	return verb
}

func rolloutRows(w io.Writer, rollouts []admin.RolloutStatus) {
	row(w, "GROUP", "RELEASE", "ARCH", "STARTED", "REACHED", "RUNNING", "MACHINES", "FAILURES", "STATE")
	for _, r := range rollouts {
		reached := r.ReachedPercent / 100
		row(w, r.Group, r.Version, r.Arch, r.Started, bar(reached, narrowCells)+" "+percent(reached), r.Running, r.Machines, r.Failures, rolloutState(r))
	}
}

func rolloutState(r admin.RolloutStatus) string {
	switch {
	case r.Halt != nil:
		return "halted by " + r.Halt.By + ": " + r.Halt.Reason
	case !r.Stopped.IsZero():
		return "stopped " + r.Stopped.UTC().Format(time.RFC3339)
	case r.Emergency:
		return "emergency"
	}
	return "under way"
}

// which says which roll-out of a group a verb is about.
type which struct {
	target
	version string
}

func (c *command) whichFlags(verb *cobra.Command, w *which) {
	c.targetFlags(verb, &w.target)
	verb.Flags().StringVar(&w.version, "release", "", "version of the release (default the group's own)")
	c.completeFlag(verb, "release", releaseVersions)
}

// find asks for the one roll-out: of the release that is given, or the one that no other took the place of.
func (w which) find(ctx context.Context, s *client.Client, group string) (admin.RolloutStatus, error) {
	rollouts, err := s.Rollouts(ctx, w.app, group)
	if err != nil {
		return admin.RolloutStatus{}, err
	}
	for _, r := range rollouts {
		own := w.version == "" && r.Stopped.IsZero()
		if r.Arch == w.arch && r.Group == group && (own || r.Version == w.version) {
			return r, nil
		}
	}
	release := cmp.Or(w.version, "any release")
	return admin.RolloutStatus{}, fault.New(fault.NotFound, "there is no roll-out of %s to group %s for %s", release, group, w.arch).
		WithHint("One begins when the group's channel is pointed at a release: `conifer channel set`. `conifer rollout list` shows those there are.")
}

func (c *command) rolloutShow() *cobra.Command {
	var about which
	verb := c.verb("show GROUP", "Show how far a roll-out is", takes("a GROUP"),
		func(ctx context.Context, s *client.Client, args []string) error {
			r, err := about.find(ctx, s, args[0])
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { printRollout(w, r) })
		})
	c.whichFlags(verb, &about)
	return c.completeFirst(verb, groupNames)
}

func printRollout(w io.Writer, r admin.RolloutStatus) {
	row(w, "release", r.Version+" for "+r.Arch)
	row(w, "group", r.Group+" of "+r.App)
	row(w, "state", rolloutState(r))
	row(w, "started", r.Started)
	reached, running := r.ReachedPercent/100, share(r.Running, r.Machines)
	row(w, "has come to", bar(reached, wideCells)+" "+percent(reached))
	row(w, "runs on", fmt.Sprintf("%s %s, %d of %d machines", bar(running, wideCells), percent(running), r.Running, r.Machines))
	row(w, "failures", r.Failures)
	row(w, "downloads", downloadsText(r.Downloads))
	printShares(w, "STATE", stateNames(), r.States, r.Machines)
}

// downloadsText says how often each kind of payload was downloaded, and what deltas have saved.
func downloadsText(t *store.Traffic) string {
	if t == nil {
		return "unknown, because the database does not answer"
	}
	text := fmt.Sprintf("%d full, %s", t.Fulls, cli.Bytes(t.FullBytes))
	if t.Deltas > 0 {
		text += fmt.Sprintf("; %s, %s, which saved %s", deltas(t.Deltas), cli.Bytes(t.DeltaBytes), cli.Bytes(t.SavedBytes))
	}
	if t.FailedDeltas > 0 {
		text += "; " + deltas(t.FailedDeltas) + " failed"
	}
	return text
}

func deltas(n int64) string {
	if n == 1 {
		return "1 delta"
	}
	return fmt.Sprintf("%d deltas", n)
}

func (c *command) rolloutSpeed(name, short string, on bool) *cobra.Command {
	var about which
	verb := c.verb(name+" GROUP", short, takes("a GROUP"),
		func(ctx context.Context, s *client.Client, args []string) error {
			r, err := about.find(ctx, s, args[0])
			if err != nil {
				return err
			}
			if err := s.SpeedUp(ctx, about.app, args[0], r.Arch, r.Version, on); err != nil {
				return err
			}
			r.Emergency = on
			if on {
				return c.done(r.Rollout, "release %s goes to group %s for %s without regard to percent and windows; limits and the error budget hold",
					r.Version, args[0], r.Arch)
			}
			return c.done(r.Rollout, "release %s goes to group %s for %s by the group's policy", r.Version, args[0], r.Arch)
		})
	c.whichFlags(verb, &about)
	return c.completeFirst(verb, groupNames)
}
