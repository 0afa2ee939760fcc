package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"conifer.dev/conifer/internal/service/client"
)

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
	if c.json {
		return c.printJSON(result)
	}
	table := tabwriter.NewWriter(c.env.Stdout, 0, 8, 2, ' ', 0)
	people(table)
	return table.Flush()
}

// done ends a verb that changed something: it says what, and prints the result only as JSON.
func (c *command) done(result any, format string, args ...any) error {
	c.say(format, args...)
	if !c.json {
		return nil
	}
	return c.printJSON(result)
}

func (c *command) printJSON(result any) error {
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.env.Stdout, "%s\n", text)
	return err
}

// list is what a verb that lists shows as JSON: an empty list is [], never null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
