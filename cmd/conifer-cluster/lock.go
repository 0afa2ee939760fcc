package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cluster/api"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// lock is the noun for the operator.
func (p *program) lock() *cobra.Command {
	noun := &cobra.Command{
		Use:   "lock",
		Short: "Show and release reboot locks",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	noun.PersistentFlags().BoolVar(&p.json, "json", false, "print results as JSON")
	noun.AddCommand(p.lockList(), p.lockRelease())
	return noun
}

// client speaks to the running program, by the socket in its data folder.
func (p *program) client(cmd *cobra.Command) (*api.Client, error) {
	s, _, err := p.load(cmd)
	if err != nil {
		return nil, err
	}
	return api.Dial(adminSocket(s.Data)), nil
}

func (p *program) lockList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List who holds which reboot lock, and since when",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.client(cmd)
			if err != nil {
				return err
			}
			locks, err := client.List(cmd.Context())
			if err != nil {
				return err
			}
			if p.json {
				return json.NewEncoder(p.env.Stdout).Encode(locks)
			}
			return p.printLocks(locks)
		},
	}
}

func (p *program) printLocks(locks []api.Lock) error {
	w := tabwriter.NewWriter(p.env.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tSLOTS\tHOLDER\tSINCE")
	for _, lock := range locks {
		if len(lock.Holders) == 0 {
			fmt.Fprintf(w, "%s\t%d\t-\t-\n", lock.Group, lock.Slots)
		}
		for _, h := range lock.Holders {
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", lock.Group, lock.Slots, h.ID, h.Since.Format(time.RFC3339))
		}
	}
	return w.Flush()
}

func (p *program) lockRelease() *cobra.Command {
	var group string
	cmd := &cobra.Command{
		Use:   "release MACHINE",
		Short: "Take the slot away from a machine that will not give it back itself",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.Invalid, "%d machines are named, want 1", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.client(cmd)
			if err != nil {
				return err
			}
			if err := client.Release(cmd.Context(), group, args[0]); err != nil {
				return err
			}
			if p.json {
				return json.NewEncoder(p.env.Stdout).Encode(fleetlock.Params{ID: args[0], Group: group})
			}
			fmt.Fprintf(p.env.Stdout, "machine %s no longer holds a slot of group %s\n", args[0], group)
			return nil
		},
	}
	cmd.Flags().StringVar(&group, "group", fleetlock.DefaultGroup, "group of the machine")
	return cmd
}
