package main

import (
	"context"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
)

// one names a machine in what a verb that changes it prints as JSON.
type one struct {
	App string `json:"app"`
	ID  string `json:"machine"`
}

func (c *command) machinePin() *cobra.Command {
	var t target
	var pin admin.Pin
	verb := c.verb("pin ID --release VERSION", "Hold a machine at a release, whatever its group follows", takes("an ID"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := s.PinMachine(ctx, t.app, args[0], pin); err != nil {
				return err
			}
			result := struct {
				one
				admin.Pin
			}{one{t.app, args[0]}, pin}
			return c.done(result, "machine %s is %s", args[0], pinText(pin.Version, pin.Downgrade))
		})
	c.appFlag(verb, &t)
	verb.Flags().StringVar(&pin.Version, "release", "", "version of the release")
	verb.Flags().BoolVar(&pin.Downgrade, "downgrade", false, "the release may be older than what the machine runs; it has to be signed for that")
	c.completeFlag(verb, "release", releaseVersions)
	return needs(verb, "release")
}

func (c *command) machineUnpin() *cobra.Command {
	return c.machineChange("unpin ID", "Let a machine follow its group again", "follows its group", (*client.Client).UnpinMachine)
}

func (c *command) machineForget() *cobra.Command {
	return c.machineChange("forget ID", "Remove a machine that is gone; its events stay, and one that asks again is new", "is forgotten",
		(*client.Client).ForgetMachine)
}

// machineChange is a verb that changes one machine; end says what it is afterwards.
func (c *command) machineChange(use, short, end string, change func(s *client.Client, ctx context.Context, app, id string) error) *cobra.Command {
	var t target
	verb := c.verb(use, short, takes("an ID"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := change(s, ctx, t.app, args[0]); err != nil {
				return err
			}
			return c.done(one{t.app, args[0]}, "machine %s of %s %s", args[0], t.app, end)
		})
	c.appFlag(verb, &t)
	return verb
}

func (c *command) machineRetry() *cobra.Command {
	var t target
	var version string
	verb := c.verb("retry ID", "Let a machine be offered again what it failed on; a halt is not lifted by it", takes("an ID"),
		func(ctx context.Context, s *client.Client, args []string) error {
			retried, err := s.Retry(ctx, t.app, args[0], version)
			if err != nil {
				return err
			}
			for _, b := range retried {
				c.say("machine %s may try release %s again", args[0], b.Version)
			}
			if !c.json {
				return nil
			}
			return c.printJSON(list(retried))
		})
	c.appFlag(verb, &t)
	verb.Flags().StringVar(&version, "release", "", "version of the release (default all that it failed on)")
	c.completeFlag(verb, "release", releaseVersions)
	return verb
}
