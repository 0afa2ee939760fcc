package main

import "github.com/spf13/cobra"

// releaseNoun is `conifer release`: made and signed by the factory, offered by the service.
func releaseNoun(c *command) *cobra.Command {
	verbs := append([]*cobra.Command{c.releaseCreate(), c.releasePublish(), c.releaseAddDeltas()}, c.releaseServiceVerbs()...)
	return parent("release", "Make, publish and steer releases", verbs...)
}
