package main

import "github.com/spf13/cobra"

// newRelease is the noun release: made and signed by the factory, offered by the service.
func newRelease(c *command) *cobra.Command {
	noun := &cobra.Command{Use: "release", Short: "Make, publish and steer releases"}
	noun.AddCommand(newReleaseCreate(c), newReleasePublish(c))
	return noun
}
