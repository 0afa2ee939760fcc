// Command conifer-server is the service: it decides which machine is offered which release, and when; it serves the
// files; and it stops a release that hurts machines. Start with [Run].
package main

import "conifer.dev/conifer/internal/cli"

func main() { cli.Main(Run) }
