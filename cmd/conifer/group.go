package main

import (
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

// groupNoun is `conifer group`.
func groupNoun(c *command) *cobra.Command {
	return parent("group", "Groups: machines under one policy, following a channel", c.groupSet(), c.groupList())
}

func (c *command) groupSet() *cobra.Command {
	var t target
	var want store.Group
	cmd := &cobra.Command{Use: "set NAME", Short: "Change a group; it is made when there is none, and flags not given leave it as it is", Args: takes("a NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			group, err := s.SetGroup(cmd.Context(), args[0], groupPatch(cmd, t.app, want))
			if err != nil {
				return err
			}
			return c.showGroups(group, []store.Group{group})
		}}
	t.appFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&want.Channel, "channel", "", "channel that it follows (a new group: the one of its name)")
	f.BoolVar(&want.Paused, "paused", false, "offer nothing to its machines; --paused=false ends it")
	f.IntVar(&want.Percent, "percent", 100, "share of its machines that are offered a release")
	f.IntVar(&want.ErrorBudget, "error-budget", 0, "machines that may fail on a release without halting it")
	return cmd
}

// groupPatch is what the given flags change.
func groupPatch(cmd *cobra.Command, app string, want store.Group) admin.GroupPatch {
	patch := admin.GroupPatch{App: app}
	for name, take := range map[string]func(){
		"channel":      func() { patch.Channel = &want.Channel },
		"paused":       func() { patch.Paused = &want.Paused },
		"percent":      func() { patch.Percent = &want.Percent },
		"error-budget": func() { patch.ErrorBudget = &want.ErrorBudget },
	} {
		if cmd.Flags().Changed(name) {
			take()
		}
	}
	return patch
}

func (c *command) groupList() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "list", Short: "List the groups and their policies", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			groups, err := s.Groups(cmd.Context(), t.app)
			if err != nil {
				return err
			}
			return c.showGroups(groups, groups)
		}}
	t.appFlag(cmd)
	return cmd
}

// showGroups prints groups as a table, or result as JSON.
func (c *command) showGroups(result any, groups []store.Group) error {
	return c.show(result, func(w io.Writer) {
		row(w, "GROUP", "CHANNEL", "PERCENT", "ERROR BUDGET", "PAUSED")
		for _, g := range groups {
			row(w, g.Name, g.Channel, g.Percent, g.ErrorBudget, g.Paused)
		}
	})
}
