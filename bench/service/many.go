package main

import (
	"context"
	"errors"
	"time"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/load"
)

// many is a fleet for which one server was built: each machine asks once an hour.
type many struct {
	machines int
	start    time.Duration
	atReady  load.Usage
	result   load.Result
}

// What is to be reached with ten million machines.
const (
	manyStart       = time.Minute
	manyResidentMiB = 2560
	manyCores       = .5
)

// hourly is how many polls a second so many machines make.
func (m many) hourly() float64 { return float64(m.machines) / 3600 }

func measureMany(ctx context.Context, s *settings) (*many, error) {
	o, err := startOurs(ctx, s, s.many)
	if err != nil {
		return nil, err
	}
	m := &many{machines: s.many, start: o.StartTime, atReady: o.Process().Usage()}
	talk("until it was ready it used %.1f s of CPU and %.0f MiB", m.atReady.CPU.Seconds(), m.atReady.PeakMiB)
	m.result, err = load.Run(ctx, load.Plan{
		Target: o.target(), Watch: o.watch(), Fleet: fleet(), Mode: load.Poll, Machines: s.many, Connections: s.connections,
		Rate: m.hourly(), Warmup: 3 * time.Second, Duration: s.duration(),
	})
	talk("%s machines that ask once an hour: %s", page.Number(s.many), m.result)
	return m, errors.Join(err, o.close())
}
