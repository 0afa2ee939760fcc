// Command delta measures how much a machine must fetch to go from one image to the next, for everything in Debian that makes deltas, and
// what making and applying it costs. `make bench-delta` runs it, and writes bench/delta.md. The images are those of real updates: the packages
// that Debian's mirror holds on the day, for the pairs of suites in pair.go; the ways to send them are the rows in row.go.
//
//	go run ./bench/delta [-pairs security] [-arch arm64] [-rows ostree,zstd] [-rows=-bsdiff] [-ultra] [-ours] [-keep] [-fresh]
//
// Pairs and results are kept, so that a second run measures only what is new. It runs no script of a package, and counts no payload
// that does not give the new image or tree bit for bit.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if args := os.Args[1:]; len(args) > 1 && args[0] == "child" {
		err = runChild(args[1:])
	} else {
		err = measureAll(ctx, args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "delta: %v\n", err)
		os.Exit(1)
	}
}

// usualArch is the architecture of most machines.
const usualArch = "amd64"

// settings are the flags.
type settings struct {
	rows, pairs, arch string
	ultra, ours       bool
	fresh, keep       bool
	out, folder, bins string
}

func (s *settings) flags() *flag.FlagSet {
	f := flag.NewFlagSet("delta", flag.ExitOnError)
	f.StringVar(&s.rows, "rows", "", "rows by name, with commas between; a minus before a name leaves it out (default all)")
	f.StringVar(&s.pairs, "pairs", "", "pairs, likewise")
	f.StringVar(&s.arch, "arch", usualArch, "architecture of the machine, by Debian's name")
	f.BoolVar(&s.ultra, "ultra", false, "measure the slowest row too")
	f.BoolVar(&s.ours, "ours", false, "measure Conifer's own payload")
	f.BoolVar(&s.fresh, "fresh", false, "measure rows again whose results are kept")
	f.BoolVar(&s.keep, "keep", false, "take the pairs as they are, and do not ask the mirror for newer packages")
	f.StringVar(&s.out, "out", "bench/delta.md", "report to write; the picture is beside it")
	f.StringVar(&s.folder, "folder", "", "folder for pairs, packages and results (default: delta in the cache folder)")
	f.StringVar(&s.bins, "binaries", "bin", "folder of conifer")
	return f
}
