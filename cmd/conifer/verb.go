package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/client"
)

// action is what a verb does with the service.
type action func(ctx context.Context, s *client.Client, args []string) error

// verb makes a command that speaks with the service.
func (c *command) verb(use, short string, args cobra.PositionalArgs, do action) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			return do(cmd.Context(), s, args)
		}}
}

// parent is a noun: it does nothing by itself, and a verb that it does not have is wrong usage.
func parent(use, short string, verbs ...*cobra.Command) *cobra.Command {
	noun := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fault.New(fault.Invalid, "%s has no command %q", cmd.CommandPath(), args[0]).WithHint("There are: %s.", verbNames(verbs))
	}}
	noun.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	noun.AddCommand(verbs...)
	return noun
}

func verbNames(verbs []*cobra.Command) string {
	var names []string
	for _, v := range verbs {
		names = append(names, v.Name())
	}
	return strings.Join(names, ", ")
}

// takes makes a verb insist on its arguments.
func takes(what ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(what) {
			return fault.New(fault.Invalid, "unexpected argument %q", args[len(what)])
		}
		if len(args) < len(what) {
			return fault.New(fault.Invalid, "%s needs %s", cmd.CommandPath(), strings.Join(what[len(args):], " and ")).
				WithHint("Usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// needs makes a verb insist on its flags.
func needs(cmd *cobra.Command, flags ...string) *cobra.Command {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range flags {
			if !cmd.Flags().Changed(name) {
				return fault.New(fault.Invalid, "%s needs --%s", cmd.CommandPath(), name).WithHint("Usage: %s", cmd.UseLine())
			}
		}
		return nil
	}
	return cmd
}

// target is the application and architecture that a verb is about.
type target struct{ app, arch string }

func (c *command) appFlag(cmd *cobra.Command, t *target) {
	cmd.Flags().StringVar(&t.app, "app", "conifer-os", "application, by id or name")
	c.completeFlag(cmd, "app", appNames)
}

func (c *command) targetFlags(cmd *cobra.Command, t *target) {
	c.appFlag(cmd, t)
	cmd.Flags().StringVar(&t.arch, "arch", "amd64", "architecture, in Debian's words")
	completeWords(cmd, "arch", "amd64", "arm64")
}
