// Command conifer-server is the service: it decides which machine is offered which release, and when; it serves the
// files; and it stops a release that hurts machines. Start with [Run].
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
