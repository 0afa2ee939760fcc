package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/client"
)

func (c *command) machineEvents() *cobra.Command {
	var t target
	var machine string
	var limit int
	verb := c.verb("events [--machine ID]", "What machines reported lately, the newest first", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			events, err := s.Events(ctx, t.app, machine, limit)
			if err != nil {
				return err
			}
			return c.show(list(events), func(w io.Writer) {
				row(w, "REPORTED", "MACHINE", "WHAT")
				for _, e := range events {
					row(w, e.At, e.Machine, eventText(e))
				}
			})
		})
	c.appFlag(verb, &t)
	verb.Flags().StringVar(&machine, "machine", "", "only of this one, which may be forgotten by now")
	verb.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return verb
}
