package main

import "github.com/spf13/cobra"

// releaseNoun is `conifer release`.
func releaseNoun(c *command) *cobra.Command {
	return parent("release", "Releases of an application", c.releaseServiceVerbs()...)
}
