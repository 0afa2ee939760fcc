// Command update measures what an update costs the machine that gets it: how late an application answers meanwhile, what the agent
// takes of processor, memory and disk, and what a slow disk adds. `make bench-update` runs it, and writes bench/update.md.
//
// It is one virtual machine of test/fleet, which installs two releases in turns: one by a delta, and one by its full payload. The
// reboot never comes, because the cluster program that would have to allow it is not there. The disk is slowed by QEMU while the machine runs.
// Where QEMU emulates the processor, seconds are not those of real hardware; what counts are ratios within a run.
//
//	go run ./bench/update [-rate 25] [-quiet 50s] [-deltas 1] [-fulls 2] [-drives 'as it is,SD card'] [-keep] [-again]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// limit is what a run may take, so that one that hangs ends.
const limit = time.Hour

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var s settings
	if err := s.parse(os.Args[1:]); err == nil {
		err = s.measureAll(ctx)
		if err != nil {
			fmt.Fprintf(os.Stderr, "update: %v\n", err)
			os.Exit(1)
		}
	}
}

// settings are the flags.
type settings struct {
	rate        float64
	quiet       time.Duration
	deltas      int
	fulls       int
	drives, out string
	keep, again bool
}

func (s *settings) parse(args []string) error {
	f := flag.NewFlagSet("update", flag.ExitOnError)
	f.Float64Var(&s.rate, "rate", 25, "requests to the application in a second")
	f.DurationVar(&s.quiet, "quiet", 50*time.Second, "how long nothing else happens")
	f.IntVar(&s.deltas, "deltas", 1, "updates by a delta on each drive")
	f.IntVar(&s.fulls, "fulls", 2, "updates by the full payload on each drive")
	f.StringVar(&s.drives, "drives", "", "drives by name, with commas between (default all)")
	f.StringVar(&s.out, "out", "bench/update.md", "report to write; the picture is beside it")
	f.BoolVar(&s.keep, "keep", false, "leave the folder of the fleet")
	f.BoolVar(&s.again, "again", false, "measure nothing, and write the report of what was measured last")
	return f.Parse(args)
}
