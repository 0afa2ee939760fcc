package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// releaseServiceVerbs are the verbs of `conifer release` that speak with the service.
func (c *command) releaseServiceVerbs() []*cobra.Command {
	return []*cobra.Command{
		c.releaseAdd(), c.releaseImport(), c.releaseList(), c.releaseShow(), c.releaseSet(), c.releaseHalt(),
		c.releaseChange("resume VERSION", "Let a halted release be offered again", "is offered again", (*client.Client).Resume),
		c.releaseChange("forget VERSION", "Remove a release that no channel points at; its files stay", "is forgotten", (*client.Client).ForgetRelease),
	}
}

func (c *command) releaseList() *cobra.Command {
	var t target
	verb := c.verb("list", "List releases, the newest first", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			releases, err := s.Releases(ctx, t.app)
			if err != nil {
				return err
			}
			return c.show(list(releases), func(w io.Writer) {
				row(w, "VERSION", "ARCH", "CHANNELS", "STATE", "ADDED")
				for _, r := range releases {
					row(w, r.Version, r.Arch, strings.Join(r.Channels, " "), releaseState(r), r.Added)
				}
			})
		})
	c.appFlag(verb, &t)
	return verb
}

// releaseState says in one line what holds for a release beside its channels.
func releaseState(r admin.ReleaseStatus) string {
	var states []string
	if r.Halted {
		states = append(states, "halted: "+r.HaltReason)
	}
	if r.Floor != "" {
		states = append(states, "floor: "+r.Floor)
	}
	if r.DeadEnd != "" {
		states = append(states, "dead end: "+r.DeadEnd)
	}
	if len(states) == 0 {
		return "ok"
	}
	return strings.Join(states, "; ")
}

func (c *command) releaseShow() *cobra.Command {
	var t target
	verb := c.verb("show VERSION", "Show one release, and what became of it", takes("a VERSION"),
		func(ctx context.Context, s *client.Client, args []string) error {
			r, err := s.Release(ctx, t.app, t.arch, args[0])
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { printRelease(w, r) })
		})
	c.targetFlags(verb, &t)
	return c.completeFirst(verb, releaseVersions)
}

func printRelease(w io.Writer, r admin.ReleaseStatus) {
	row(w, "release", r.Version)
	row(w, "application", r.App)
	row(w, "architecture", r.Arch)
	row(w, "channels", strings.Join(r.Channels, " "))
	row(w, "state", releaseState(r))
	row(w, "added", r.Added)
	row(w, "files at", r.URL)
	for _, file := range append([]store.File{{Name: r.File, SizeBytes: r.SizeBytes, SHA256: r.SHA256}}, r.Extra...) {
		row(w, "file", file.Name+", "+cli.Bytes(file.SizeBytes)+", sha256 "+file.SHA256)
	}
	for _, d := range r.Deltas {
		row(w, "delta", fmt.Sprintf("from %s, %s, %s, sha256 %s, for machines that know %s", d.From, d.Name, cli.Bytes(d.SizeBytes), d.SHA256, strings.Join(d.Features, " ")))
	}
	for _, b := range r.Barred {
		row(w, string(b.State), "machine "+b.Machine+" of group "+b.Group+": "+b.Reason)
	}
	if r.Notes != "" {
		row(w, "notes", r.Notes)
	}
}

func (c *command) releaseHalt() *cobra.Command {
	var reason string
	verb := c.releaseChange("halt VERSION --reason TEXT", "Stop a release from being offered to anybody", "is halted",
		func(s *client.Client, ctx context.Context, app, arch, version string) error {
			return s.Halt(ctx, app, arch, version, reason)
		})
	verb.Flags().StringVar(&reason, "reason", "", "why, for whoever finds it halted")
	return needs(verb, "reason")
}

// releaseChange is a verb that changes one release; end says what it is afterwards.
func (c *command) releaseChange(use, short, end string, change func(s *client.Client, ctx context.Context, app, arch, version string) error) *cobra.Command {
	var t target
	verb := c.verb(use, short, takes("a VERSION"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := change(s, ctx, t.app, t.arch, args[0]); err != nil {
				return err
			}
			result := struct {
				App     string `json:"app"`
				Arch    string `json:"arch"`
				Version string `json:"version"`
			}{t.app, t.arch, args[0]}
			return c.done(result, "release %s of %s for %s %s", args[0], t.app, t.arch, end)
		})
	c.targetFlags(verb, &t)
	return c.completeFirst(verb, releaseVersions)
}
