package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/client"
)

// backupNoun is `conifer backup`: it has one thing to do, and so no verb.
func backupNoun(c *command) *cobra.Command {
	verb := c.verb("backup", "Have the service copy its database while it runs", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			b, err := s.Backup(ctx)
			if err != nil {
				return err
			}
			c.say("the copy is on the service's host, %s", cli.Bytes(b.SizeBytes))
			return c.show(b, func(w io.Writer) { row(w, b.Path) })
		})
	verb.Long = "Have the service copy its database (SQLite) into its data folder while it runs.\n\n" +
		"To go back to a copy, stop the service and put the copy in the place of conifer.db, without conifer.db-wal and\n" +
		"conifer.db-shm. With PostgreSQL use its own tools, such as pg_dump."
	return verb
}
