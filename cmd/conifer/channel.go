package main

import (
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
)

// channelNoun is `conifer channel`.
func channelNoun(c *command) *cobra.Command {
	return parent("channel", "Channels: names that point at a release", c.channelSet(), c.channelList())
}

func (c *command) channelSet() *cobra.Command {
	var t target
	var version string
	cmd := &cobra.Command{Use: "set NAME --release VERSION", Short: "Point a channel at a release; it is made when there is none", Args: takes("a NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			if err := s.SetChannel(cmd.Context(), args[0], admin.ChannelTarget{App: t.app, Arch: t.arch, Release: version}); err != nil {
				return err
			}
			c.say("channel %s points at release %s for %s", args[0], version, t.arch)
			return nil
		}}
	t.flags(cmd)
	cmd.Flags().StringVar(&version, "release", "", "version of the release")
	return needs(cmd, "release")
}

func (c *command) channelList() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "list", Short: "List the channels, and what they point at", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			channels, err := s.Channels(cmd.Context(), t.app)
			if err != nil {
				return err
			}
			return c.show(channels, func(w io.Writer) {
				row(w, "CHANNEL", "RELEASES")
				for _, ch := range channels {
					row(w, ch.Name, sorted(ch.Releases))
				}
			})
		}}
	t.appFlag(cmd)
	return cmd
}
