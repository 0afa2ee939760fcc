package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
)

// channelNoun is `conifer channel`.
func channelNoun(c *command) *cobra.Command {
	return parent("channel", "Channels: names that point at a release", c.channelSet(), c.channelList(), c.channelRemove())
}

// named is what a verb did to the thing of a name, as JSON.
type named struct {
	App  string `json:"app"`
	Name string `json:"name"`
}

func (c *command) channelSet() *cobra.Command {
	var t target
	var version string
	verb := c.verb("set NAME --release VERSION", "Point a channel at a release; it is made when there is none", takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			to := admin.ChannelTarget{App: t.app, Arch: t.arch, Release: version}
			if err := s.SetChannel(ctx, args[0], to); err != nil {
				return err
			}
			result := struct {
				Name string `json:"name"`
				admin.ChannelTarget
			}{args[0], to}
			return c.done(result, "channel %s points at release %s for %s", args[0], version, t.arch)
		})
	c.targetFlags(verb, &t)
	verb.Flags().StringVar(&version, "release", "", "version of the release")
	c.completeFlag(verb, "release", releaseVersions)
	return c.completeFirst(needs(verb, "release"), channelNames)
}

func (c *command) channelList() *cobra.Command {
	var t target
	verb := c.verb("list", "List the channels, and what they point at", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			channels, err := s.Channels(ctx, t.app)
			if err != nil {
				return err
			}
			return c.show(list(channels), func(w io.Writer) {
				row(w, "CHANNEL", "RELEASES")
				for _, ch := range channels {
					row(w, ch.Name, sorted(ch.Releases))
				}
			})
		})
	c.appFlag(verb, &t)
	return verb
}

func (c *command) channelRemove() *cobra.Command {
	var t target
	verb := c.verb("remove NAME", "Remove a channel that no group follows", takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			if err := s.RemoveChannel(ctx, t.app, args[0]); err != nil {
				return err
			}
			return c.done(named{t.app, args[0]}, "channel %s of %s is removed", args[0], t.app)
		})
	c.appFlag(verb, &t)
	return c.completeFirst(verb, channelNames)
}
