package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/client"
)

// What is shared by the nouns that speak with the service: app, release, channel, group, machine.

// service is a client of the service that the flags name.
func (c *command) service() (*client.Client, error) {
	token, err := client.ReadToken(c.tokenFile)
	if err != nil {
		return nil, err
	}
	return client.New(c.server, token)
}

// say talks to the person; results go to stdout instead.
func (c *command) say(format string, args ...any) {
	fmt.Fprintf(c.env.Stderr, format+"\n", args...)
}

// show prints a result: as JSON when that was asked for, otherwise in the form for people.
func (c *command) show(result any, people func(io.Writer)) error {
	if !c.json {
		table := tabwriter.NewWriter(c.env.Stdout, 0, 8, 2, ' ', 0)
		people(table)
		return table.Flush()
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.env.Stdout, "%s\n", text)
	return err
}

// parent is a noun: it does nothing by itself, and a verb that it does not have is wrong usage.
func parent(use, short string, verbs ...*cobra.Command) *cobra.Command {
	noun := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fault.New(fault.Invalid, "%s has no verb %q", cmd.CommandPath(), args[0]).WithHint("Verbs: %s.", verbNames(verbs))
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
			return fault.New(fault.Invalid, "%s needs %s", cmd.CommandPath(), strings.Join(what[len(args):], " and "))
		}
		return nil
	}
}

// needs makes a verb insist on its flags.
func needs(cmd *cobra.Command, flags ...string) *cobra.Command {
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range flags {
			if !cmd.Flags().Changed(name) {
				return fault.New(fault.Invalid, "%s needs --%s", cmd.CommandPath(), name)
			}
		}
		return nil
	}
	return cmd
}

// target is the application and architecture that a verb is about.
type target struct{ app, arch string }

func (t *target) appFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.app, "app", "conifer-os", "application, by id or name")
}

func (t *target) flags(cmd *cobra.Command) {
	t.appFlag(cmd)
	cmd.Flags().StringVar(&t.arch, "arch", "amd64", "architecture, in Debian's words")
}

// row writes one line of a table.
func row(w io.Writer, cells ...any) {
	var texts []string
	for _, cell := range cells {
		text := fmt.Sprint(cell)
		if at, ok := cell.(time.Time); ok {
			text = at.UTC().Format(time.RFC3339)
		}
		if text == "" {
			text = "-"
		}
		texts = append(texts, text)
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// sorted lists a map as key=value.
func sorted(m map[string]string) string {
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}
