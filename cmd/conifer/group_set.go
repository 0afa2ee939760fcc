package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

const groupSetHelp = `Change a group; it is made when there is none. Flags that are not given leave it as it is, and an
empty value takes a part of the policy away.

    --percent         25 · 100/7d (linear over 7 days) · canary:1:24h,early:10:48h,all:100 (phases: name, percent, soak)
    --max-per-period  1000/15m (updates begun in any 15 minutes)
    --max-at-once     50 (updates under way)
    --window          "0 22 * * 1-5; 4h; Europe/Berlin" (cron, duration, time zone)
    --error-budget    3 · 2% (machines that may fail before the release is halted for everybody)
    --silent-after    6h (silent for so long in the middle of an update: never came back)`

// groupFlags are the policy as an operator writes it; a number is a text too, so that it can be taken away.
type groupFlags struct {
	store.Group
	maxAtOnce string
}

func (c *command) groupSet() *cobra.Command {
	var t target
	var flags groupFlags
	var verb *cobra.Command
	verb = c.verb("set NAME", "Change a group; it is made when there is none", takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			patch, err := flags.patch(t.app, verb.Flags().Changed)
			if err != nil {
				return err
			}
			group, err := s.SetGroup(ctx, args[0], patch)
			if err != nil {
				return err
			}
			return c.showGroups(group, []store.Group{group})
		})
	verb.Long = groupSetHelp
	c.appFlag(verb, &t)
	flags.add(verb)
	c.completeFlag(verb, "channel", channelNames)
	c.completeFlag(verb, "pin", releaseVersions)
	return c.completeFirst(verb, groupNames)
}

func (g *groupFlags) add(verb *cobra.Command) {
	f := verb.Flags()
	f.StringVar(&g.Channel, "channel", "", "channel that it follows (a new group: the one of its name)")
	f.BoolVar(&g.Paused, "paused", false, "offer nothing to its machines; --paused=false ends it")
	f.StringVar(&g.Percent, "percent", "", "share of its machines that a release comes to: constant, over time, or in phases")
	f.StringVar(&g.MaxPerPeriod, "max-per-period", "", "updates begun in any period, as N/15m")
	f.StringVar(&g.maxAtOnce, "max-at-once", "", "updates under way")
	f.StringVar(&g.ErrorBudget, "error-budget", "", "machines that may fail on a release without halting it: a number or a percentage")
	f.StringArrayVar(&g.Windows, "window", nil, "when offers are made, as 'CRON; DURATION; TIME ZONE'; may be repeated, replaces them all")
	f.StringVar(&g.SilentAfter, "silent-after", "", "how long a machine may be silent in the middle of an update")
	f.StringVar(&g.Pin, "pin", "", "version to offer instead of what the channel points at")
	f.BoolVar(&g.Downgrade, "downgrade", false, "the pin may be older than what a machine runs")
}

// patch is what the given flags change.
func (g *groupFlags) patch(app string, given func(flag string) bool) (admin.GroupPatch, error) {
	patch := admin.GroupPatch{App: app}
	for _, f := range []struct {
		flag string
		take func()
	}{
		{"channel", func() { patch.Channel = &g.Channel }},
		{"paused", func() { patch.Paused = &g.Paused }},
		{"percent", func() { patch.Percent = &g.Percent }},
		{"max-per-period", func() { patch.MaxPerPeriod = &g.MaxPerPeriod }},
		{"max-at-once", func() { patch.MaxAtOnce = &g.MaxAtOnce }},
		{"error-budget", func() { patch.ErrorBudget = &g.ErrorBudget }},
		{"window", func() { patch.Windows = &g.Windows }},
		{"silent-after", func() { patch.SilentAfter = &g.SilentAfter }},
		{"pin", func() { patch.Pin = &g.Pin }},
		{"downgrade", func() { patch.Downgrade = &g.Downgrade }},
	} {
		if given(f.flag) {
			f.take()
		}
	}
	return patch, g.read()
}

// read turns the texts of the flags into what the service takes.
func (g *groupFlags) read() error {
	if len(g.Windows) == 1 && g.Windows[0] == "" {
		g.Windows = []string{}
	}
	if g.maxAtOnce == "" {
		return nil
	}
	n, err := strconv.Atoi(g.maxAtOnce)
	if err != nil || n < 0 {
		return fault.New(fault.Invalid, "--max-at-once is %q, not a number of machines", g.maxAtOnce).
			WithHint(`Give a whole number, or "" to take the limit away.`)
	}
	g.MaxAtOnce = n
	return nil
}
