package main

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// groupNoun is `conifer group`.
func groupNoun(c *command) *cobra.Command {
	return parent("group", "Groups: machines under one policy, following a channel",
		c.groupSet(), c.groupList(), c.groupShow(),
		c.groupPause("pause", "Offer nothing to the machines of a group; its clocks stand still", true),
		c.groupPause("resume", "Offer releases to the machines of a paused group again", false),
		c.groupRemove())
}

func (c *command) groupList() *cobra.Command {
	var t target
	verb := c.verb("list", "List the groups and their policies", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			groups, err := s.Groups(ctx, t.app)
			if err != nil {
				return err
			}
			return c.showGroups(list(groups), groups)
		})
	c.appFlag(verb, &t)
	return verb
}

// showGroups prints groups as a table, or result as JSON.
func (c *command) showGroups(result any, groups []store.Group) error {
	return c.show(result, func(w io.Writer) {
		row(w, "GROUP", "CHANNEL", "PERCENT", "MAX PER PERIOD", "MAX AT ONCE", "ERROR BUDGET", "WINDOWS", "STATE")
		for _, g := range groups {
			row(w, g.Name, g.Channel, g.Percent, g.MaxPerPeriod, limitText(g.MaxAtOnce), g.ErrorBudget, len(g.Windows), groupState(g))
		}
	})
}

// limitText is a number that limits; 0 does not.
func limitText(n int) any {
	if n == 0 {
		return ""
	}
	return n
}

// groupState says what holds a group apart from its policy.
func groupState(g store.Group) string {
	var states []string
	if g.Paused {
		states = append(states, "paused")
	}
	if g.Pin != "" {
		states = append(states, pinText(g.Pin, g.Downgrade))
	}
	if len(states) == 0 {
		return "open"
	}
	return strings.Join(states, ", ")
}

func pinText(version string, downgrade bool) string {
	if downgrade {
		return "pinned to " + version + ", also from newer ones"
	}
	return "pinned to " + version
}

func (c *command) groupPause(name, short string, paused bool) *cobra.Command {
	var t target
	verb := c.verb(name+" NAME", short, takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			// The group is asked for first, because a change of one that does not exist would make it.
			if _, err := s.Group(ctx, t.app, args[0]); err != nil {
				return err
			}
			group, err := s.SetGroup(ctx, args[0], admin.GroupPatch{App: t.app, Paused: &paused})
			if err != nil {
				return err
			}
			if paused {
				return c.done(group, "group %s is paused: its machines are offered nothing until `conifer group resume %s`", args[0], args[0])
			}
			return c.done(group, "group %s is open", args[0])
		})
	c.appFlag(verb, &t)
	return c.completeFirst(verb, groupNames)
}

func (c *command) groupRemove() *cobra.Command {
	var t target
	verb := c.verb("remove NAME", "Remove a group; machines that ask for it are offered nothing", takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := s.RemoveGroup(ctx, t.app, args[0]); err != nil {
				return err
			}
			return c.done(named{t.app, args[0]}, "group %s of %s is removed", args[0], t.app)
		})
	c.appFlag(verb, &t)
	return c.completeFirst(verb, groupNames)
}
