package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// machineNoun is `conifer machine`.
func machineNoun(c *command) *cobra.Command {
	return parent("machine", "Machines that have asked the service", c.machineList(), c.machineShow(), c.machineExplain(), c.machineRetry())
}

func (c *command) machineList() *cobra.Command {
	var t target
	var group, state string
	var limit int
	cmd := &cobra.Command{Use: "list", Short: "List machines", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			machines, err := s.Machines(cmd.Context(), t.app, group, state, limit)
			if err != nil {
				return err
			}
			return c.show(machines, func(w io.Writer) {
				row(w, "MACHINE", "GROUP", "VERSION", "STATE", "TARGET", "LAST SEEN")
				for _, m := range machines {
					row(w, m.ID, m.Group, m.Version, m.State, m.Target, m.LastSeen)
				}
			})
		}}
	t.appFlag(cmd)
	cmd.Flags().StringVar(&group, "group", "", "only those of this group")
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: idle, offered, downloading, downloaded, installed, complete, rolled-back, failed")
	cmd.Flags().IntVar(&limit, "limit", 1000, "at most so many")
	return cmd
}

func (c *command) machineShow() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "show ID", Short: "Show a machine and what it reported", Args: takes("an ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			m, err := s.Machine(cmd.Context(), t.app, args[0])
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) { printMachine(w, m) })
		}}
	t.appFlag(cmd)
	return cmd
}

func printMachine(w io.Writer, h admin.MachineHistory) {
	m := h.Machine
	row(w, "machine", m.ID)
	row(w, "application", m.App)
	row(w, "group", m.Group)
	row(w, "runs", m.Version)
	row(w, "state", stateText(m))
	row(w, "architecture", m.Arch)
	row(w, "address", m.Address)
	row(w, "first seen", m.FirstSeen)
	row(w, "last seen", m.LastSeen)
	for _, b := range h.Barred {
		row(w, "barred from", b.Version+": "+b.Reason)
	}
	for _, e := range h.Events {
		fmt.Fprintf(w, "%s\t%s\n", e.At.UTC().Format("2006-01-02 15:04:05"), eventText(e))
	}
}

func stateText(m store.Machine) string {
	text := string(m.State)
	if m.Target != "" {
		text += " " + m.Target
	}
	if m.Code != 0 {
		text += ": " + m.Code.String()
	}
	return text
}

func eventText(e store.Event) string {
	text := fmt.Sprintf("%s, event %d/%d, on %s", e.State, e.Type, e.Result, e.Version)
	if e.Target != "" && e.Target != e.Version {
		text += ", about " + e.Target
	}
	if e.Previous != "" {
		text += ", before " + e.Previous
	}
	if e.Result == omaha.Failed {
		text += ": " + e.Code.String()
	}
	return text
}

func (c *command) machineExplain() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "explain ID", Short: "Say what a machine would be answered now, and every rule that leads there", Args: takes("an ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			e, err := s.Explain(cmd.Context(), t.app, args[0])
			if err != nil {
				return err
			}
			return c.show(e, func(w io.Writer) { printExplanation(w, e) })
		}}
	t.appFlag(cmd)
	return cmd
}

func printExplanation(w io.Writer, e admin.Explanation) {
	for _, r := range e.Decision.Reasons {
		mark := "yes"
		if !r.OK {
			mark = "NO"
		}
		row(w, mark, r.Rule, r.Text)
	}
	if e.Decision.Offered() {
		fmt.Fprintf(w, "answer: release %s is offered\n", e.Decision.Version)
		return
	}
	fmt.Fprintf(w, "answer: no update, because %s\n", e.Decision.Why().Text)
}

func (c *command) machineRetry() *cobra.Command {
	var t target
	var version string
	cmd := &cobra.Command{Use: "retry ID", Short: "Let a machine be offered again what it failed on; a halt is not lifted by it", Args: takes("an ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			retried, err := s.Retry(cmd.Context(), t.app, args[0], version)
			if err != nil {
				return err
			}
			for _, b := range retried {
				c.say("machine %s may try release %s again", args[0], b.Version)
			}
			return nil
		}}
	t.appFlag(cmd)
	cmd.Flags().StringVar(&version, "release", "", "version of the release (default all that it failed on)")
	return cmd
}
