package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/client"
)

// activityNoun is `conifer activity`: it has one thing to show, and so no verb.
func activityNoun(c *command) *cobra.Command {
	var limit int
	verb := c.verb("activity", "Who did what, the newest first", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			entries, err := s.Activity(ctx, limit)
			if err != nil {
				return err
			}
			return c.show(list(entries), func(w io.Writer) {
				row(w, "TIME", "WHO", "APPLICATION", "WHAT")
				for _, a := range entries {
					row(w, a.At, a.Who, a.App, a.Text)
				}
			})
		})
	verb.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return verb
}
