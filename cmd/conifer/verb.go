package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
)

// noArgs and oneArg say what a verb takes beside flags; anything else is wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Invalid, "%s takes no argument, but has %q", cmd.CommandPath(), args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fault.New(fault.Invalid, "%s takes one argument, %s, but has %d", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// need refuses flags that are empty; the message names the first in the order of the alphabet.
func (c *command) need(flags map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		if flags[name] == "" {
			return fault.New(fault.Invalid, "--%s is missing", name)
		}
	}
	return nil
}

// step shows one step of long work on stderr.
func (c *command) step(name string, totalBytes int64) (count func(bytes int64), end func()) {
	p := cli.NewProgress(c.env.Stderr, name, totalBytes)
	return p.Add, p.End
}

// printJSON writes a result for programs.
func (c *command) printJSON(v any) error {
	enc := json.NewEncoder(c.env.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
