// Command conifer-agent keeps a machine on the release that its service offers: `run` is the daemon, the other commands
// ask it. Start with [Run].
package main

import "conifer.dev/conifer/internal/cli"

func main() { cli.Main(Run) }
