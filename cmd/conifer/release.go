package main

import "github.com/spf13/cobra"

// newRelease is `conifer release`.
func newRelease(c *command) *cobra.Command {
	return parent("release", "Releases of an application", c.releaseServiceVerbs()...)
}
