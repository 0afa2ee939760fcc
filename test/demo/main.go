// Command demo is the main job of Conifer, on real parts, as `make demo` runs it: four releases of a Debian
// image are built and signed, three virtual machines update themselves to a set of security fixes, one by
// one, and two broken releases are backed out of. It prints a timeline, then a summary of what the machines
// say of themselves, and exits non-zero if anything did not hold. Start reading at [story].
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	var o options
	flag.StringVar(&o.binaries, "bin", "bin", "folder of the programs")
	flag.StringVar(&o.cache, "cache", defaultCache(), "folder that outlives the demo: images, keys")
	flag.StringVar(&o.folder, "folder", "", "folder of this run (default: a new one below the cache)")
	flag.BoolVar(&o.keep, "keep", false, "leave everything running at the end, until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func defaultCache() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "conifer")
}
