// Command conifer is the operator's command line, and the factory: it builds images, makes and signs
// releases, and steers the service. Each noun is one file; start with [Run].
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
