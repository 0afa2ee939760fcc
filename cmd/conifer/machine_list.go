package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

const machineListHelp = `List machines in the order of their ids.

At most --limit are shown; --after continues behind the last one, and --all shows every machine, page by page. With --all --json there is one machine in each line, so that a large fleet can be read as it comes.`

// The service looks through all machines for a page, so that the pages of a whole fleet are as long as they may be.
const (
	usualPage = 1000
	longPage  = 100_000
)

func (c *command) machineList() *cobra.Command {
	var t target
	var filter client.Filter
	var all bool
	var verb *cobra.Command
	verb = c.verb("list", "List machines", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			if filter.Limit < 1 {
				return fault.New(fault.Invalid, "--limit is %d, not a number of machines", filter.Limit).WithHint("Give 1 or more, or --all.")
			}
			if all && !verb.Flags().Changed("limit") {
				filter.Limit = longPage
			}
			if all {
				return c.allMachines(ctx, s, t.app, filter)
			}
			machines, err := s.Find(ctx, t.app, filter)
			if err != nil {
				return err
			}
			if len(machines) == filter.Limit {
				c.say("there may be more: --after %s continues, --all shows every machine", machines[len(machines)-1].ID)
			}
			return c.show(list(machines), func(w io.Writer) { machineRows(w, machines, true) })
		})
	verb.Long = machineListHelp
	c.appFlag(verb, &t)
	f := verb.Flags()
	f.StringVar(&filter.Group, "group", "", "only those of this group")
	f.StringVar(&filter.State, "state", "", "only those in this state")
	f.StringVar(&filter.Version, "version", "", "only those that run this version")
	f.StringVar(&filter.After, "after", "", "only those behind this id")
	f.IntVar(&filter.Limit, "limit", usualPage, "at most so many, or with --all at a time")
	f.BoolVar(&all, "all", false, "every machine, however many there are")
	c.completeFlag(verb, "group", groupNames)
	c.completeFlag(verb, "version", releaseVersions)
	completeWords(verb, "state", stateNames()...)
	return verb
}

// stateNames are the states of a machine, in the order of an update.
func stateNames() (names []string) {
	for _, s := range rollout.States {
		names = append(names, string(s))
	}
	return names
}

// allMachines prints page after page, so that no more than one is in memory.
func (c *command) allMachines(ctx context.Context, s *client.Client, app string, filter client.Filter) error {
	for first := true; ; first = false {
		machines, err := s.Find(ctx, app, filter)
		if err != nil {
			return err
		}
		if err := c.showPage(machines, first); err != nil || len(machines) < filter.Limit {
			return err
		}
		filter.After = machines[len(machines)-1].ID
	}
}

// showPage prints one of several pages: as a table whose heading the first has, or as one line of JSON for each machine.
func (c *command) showPage(machines []store.Machine, first bool) error {
	if !c.json {
		return c.show(nil, func(w io.Writer) { machineRows(w, machines, first) })
	}
	out := json.NewEncoder(c.env.Stdout)
	for _, m := range machines {
		if err := out.Encode(m); err != nil {
			return err
		}
	}
	return nil
}

func machineRows(w io.Writer, machines []store.Machine, heading bool) {
	if heading {
		row(w, "MACHINE", "ALIAS", "GROUP", "VERSION", "STATE", "TARGET", "LAST SEEN")
	}
	for _, m := range machines {
		row(w, m.ID, m.Alias, m.Group, m.Version, m.State, m.Target, m.LastSeen)
	}
}
