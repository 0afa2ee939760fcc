// Command service measures what the update service costs: CPU for each request, latency and memory, for the rows of bench/service.md,
// at several sizes of the fleet, and side by side with another Omaha service where one is given. `make bench-service` runs it.
//
//	go run ./bench/service [-seconds 5] [-rows idle,all] [-database postgres://...] [-peer http://127.0.0.1:8001/v1/update/]
//	go run ./bench/service load -url http://127.0.0.1:8000/v1/update/ -mode poll     # only the machines, against any service
//	go run ./bench/service seed -data DIR -machines 10000000                          # only a database full of machines
//
// The machines are package load; they run in this process, and what they take is not counted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"conifer.dev/conifer/bench/service/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	verb, args := measureAll, os.Args[1:]
	if len(args) > 0 {
		switch args[0] {
		case "load":
			verb, args = loadOnly, args[1:]
		case "seed":
			verb, args = seedOnly, args[1:]
		}
	}
	if err := verb(ctx, args); err != nil {
		fmt.Fprintf(os.Stderr, "service: %v\n", err)
		os.Exit(1)
	}
}

// settings are the flags of a measurement.
type settings struct {
	rows, sizes         string
	seconds             float64
	connections, turns  int
	many                int
	database            string
	databasePID         int
	peer                string
	peerPID, peerDBPID  int
	peerMachines        int
	out, folder, binary string
}

func (s *settings) flags() *flag.FlagSet {
	f := flag.NewFlagSet("service", flag.ExitOnError)
	f.StringVar(&s.rows, "rows", "", "rows to measure, by name, with commas between (default all)")
	f.StringVar(&s.sizes, "sizes", "100000,1000000", "machines that are known beforehand")
	f.Float64Var(&s.seconds, "seconds", 20, "measured time of a row")
	f.IntVar(&s.turns, "turns", 3, "times that a row is measured with each size, one size after the other; the median counts")
	f.IntVar(&s.connections, "connections", 64, "kept-alive connections")
	f.IntVar(&s.many, "many", 10_000_000, "machines of the rows many-…")
	f.StringVar(&s.database, "database", "", "URL of a PostgreSQL database instead of SQLite; beside it one is made anew for each size, NAME_SIZE")
	f.IntVar(&s.databasePID, "database-pid", 0, "process id of that PostgreSQL, whose CPU counts")
	f.StringVar(&s.peer, "peer", "", "URL of a Nebraska to measure too, started with -auth-mode noop")
	f.IntVar(&s.peerPID, "peer-pid", 0, "its process id")
	f.IntVar(&s.peerDBPID, "peer-db-pid", 0, "process id of its database")
	f.IntVar(&s.peerMachines, "peer-machines", 0, "machines that are made known to the peer beforehand")
	f.StringVar(&s.out, "out", "bench/service.md", "report to write; the picture is beside it")
	f.StringVar(&s.folder, "folder", "", "folder for the databases (default: a temporary one)")
	f.StringVar(&s.binary, "binaries", "bin", "folder of conifer-server and conifer")
	return f
}

func (s *settings) duration() time.Duration { return time.Duration(s.seconds * float64(time.Second)) }

// loadOnly is the machines alone.
func loadOnly(ctx context.Context, args []string) error {
	var url, mode string
	var server, database int
	fleet := load.Flatcar("stable", "4081.2.0")
	plan := load.Plan{}
	f := flag.NewFlagSet("load", flag.ExitOnError)
	f.StringVar(&url, "url", "http://127.0.0.1:8000/v1/update/", "where the service listens")
	f.StringVar(&mode, "mode", "poll", "poll, register (every machine once) or flow (whole updates)")
	f.IntVar(&plan.Machines, "machines", 100_000, "machines")
	f.IntVar(&plan.Offset, "offset", 0, "number of the first machine")
	f.IntVar(&plan.Connections, "connections", 64, "kept-alive connections")
	f.BoolVar(&plan.Fresh, "fresh", false, "a connection for each request")
	f.Float64Var(&plan.EventShare, "events", .05, "poll: part of the requests that are events")
	f.Float64Var(&plan.Rate, "rate", 0, "requests per second whatever the answers are like; 0 is one after the other")
	f.DurationVar(&plan.Duration, "duration", 20*time.Second, "measured time")
	f.DurationVar(&plan.Warmup, "warmup", 2*time.Second, "time before")
	f.StringVar(&fleet.Version, "version", fleet.Version, "version that the machines run")
	f.StringVar(&plan.NewVersion, "new-version", "4081.2.1", "flow: version after the update")
	f.StringVar(&fleet.Track, "track", fleet.Track, "group that they ask for")
	f.StringVar(&fleet.App, "app", fleet.App, "application")
	f.IntVar(&server, "pid", 0, "process whose CPU is told")
	f.IntVar(&database, "database-pid", 0, "and its database's")
	if err := f.Parse(args); err != nil {
		return err
	}
	target, err := load.ParseTarget(url)
	if err != nil {
		return err
	}
	plan.Target, plan.Fleet, plan.Mode, plan.Watch = target, fleet, load.Mode(mode), processes(server, database)
	result, err := load.Run(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", plan, result)
	return nil
}

// processes are those that have an id.
func processes(server, database int) (all []load.Process) {
	if server != 0 {
		all = append(all, load.Process{Name: "server", PID: server})
	}
	if database != 0 {
		all = append(all, load.Process{Name: "database", PID: database})
	}
	return all
}
