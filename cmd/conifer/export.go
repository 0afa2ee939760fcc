package main

import (
	"context"
	"fmt"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/client"
)

// exportNoun is `conifer export`.
func exportNoun(c *command) *cobra.Command {
	var out string
	verb := c.verb("export [--out FILE]", "Write applications, channels and groups as a file for `conifer apply`", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			config, err := s.Configuration(ctx)
			if err != nil {
				return err
			}
			text, err := writeFleetFile(config)
			if err != nil {
				return err
			}
			if out != "" {
				if err := renameio.WriteFile(out, text, 0o644); err != nil {
					return fmt.Errorf("write %s: %w", out, err)
				}
				return c.done(config, "%s has %d applications, %d channels and %d groups", out, len(config.Apps), len(config.Channels), len(config.Groups))
			}
			if c.json {
				return c.printJSON(config)
			}
			_, err = c.env.Stdout.Write(text)
			return err
		})
	verb.Flags().StringVar(&out, "out", "", "file to write (default standard output)")
	return verb
}
