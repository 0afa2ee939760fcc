package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// machineNoun is `conifer machine`.
func machineNoun(c *command) *cobra.Command {
	return parent("machine", "Machines that have asked the service", c.machineList(), c.machineShow(), c.machineExplain(), c.machineEvents(),
		c.machinePin(), c.machineUnpin(), c.machineRetry(), c.machineForget())
}

func (c *command) machineShow() *cobra.Command {
	var t target
	verb := c.verb("show ID", "Show a machine and what it reported", takes("an ID"),
		func(ctx context.Context, s *client.Client, args []string) error {
			m, err := s.Machine(ctx, t.app, args[0])
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) { printMachine(w, m) })
		})
	c.appFlag(verb, &t)
	return verb
}

func printMachine(w io.Writer, h admin.MachineHistory) {
	m := h.Machine
	row(w, "machine", m.ID)
	if m.Alias != "" {
		row(w, "alias", m.Alias)
	}
	row(w, "application", m.App)
	row(w, "group", m.Group)
	row(w, "runs", m.Version)
	row(w, "state", stateText(m))
	row(w, "since", m.Since)
	row(w, "architecture", m.Arch)
	row(w, "address", m.Address)
	row(w, "first seen", m.FirstSeen)
	row(w, "last seen", m.LastSeen)
	if m.Granted {
		row(w, "limits", "it holds a place under those of its group")
	}
	if h.Pin != nil {
		row(w, "pin", pinText(h.Pin.Version, h.Pin.Downgrade)+", by "+h.Pin.By)
	}
	for _, b := range h.Barred {
		row(w, "barred from", b.Version+": "+b.Reason)
	}
	if len(h.Events) > 0 {
		fmt.Fprintln(w)
		row(w, "REPORTED", "WHAT")
	}
	for _, e := range h.Events {
		row(w, e.At, eventText(e))
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
	switch {
	case e.Result == omaha.Failed:
		text += ": " + e.Code.String()
	case omaha.Event{Type: e.Type, Result: e.Result}.GaveDeltaUp():
		text += ": the delta was given up for the full payload: " + e.Code.String()
	}
	return text
}

func (c *command) machineExplain() *cobra.Command {
	var t target
	verb := c.verb("explain ID", "Say what a machine would be answered now, and every rule that leads there", takes("an ID"),
		func(ctx context.Context, s *client.Client, args []string) error {
			e, err := s.Explain(ctx, t.app, args[0])
			if err != nil {
				return err
			}
			return c.show(e, func(w io.Writer) { printExplanation(w, e) })
		})
	c.appFlag(verb, &t)
	return verb
}

// printExplanation lists the rules in the order in which they were asked: about the machine first, then about each release that
// it could be offered.
func printExplanation(w io.Writer, e admin.Explanation) {
	about := ""
	for _, r := range e.Decision.Reasons {
		if r.Release != "" && r.Release != about {
			about = r.Release
			fmt.Fprintf(w, "release %s:\n", about)
		}
		mark := "✓"
		if !r.OK {
			mark = "✗"
		}
		row(w, mark, r.Rule, r.Text)
	}
	if e.Decision.Offered() {
		fmt.Fprintf(w, "answer: release %s is offered\n", e.Decision.Version)
		for _, p := range e.Decision.Payloads {
			fmt.Fprintf(w, "payload: %s: %s, %s\n", p.Text, p.File, cli.Bytes(p.SizeBytes))
		}
		return
	}
	fmt.Fprintf(w, "answer: no update, because %s\n", e.Decision.Why().Text)
}
