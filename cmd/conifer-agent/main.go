// Command conifer-agent keeps a machine on the release that its service offers: `run` is the daemon, the other commands
// ask it. Start with [Run].
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"conifer.dev/conifer/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(Run(ctx, cli.OS()))
}
