package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/bench/service/server"
)

// group is the one that all machines of the measurement are in.
const group = "bench"

// policy is what the group is told before a row.
type policy struct {
	update bool // there is a newer release than the machines run
	limit  int  // machines that may begin an update in period; 0 is no limit
}

// period of all limits: longer than a row takes, so that the places given in it are all that may be.
const period = 15 * time.Minute

// row is one line of the report.
type row struct {
	name   string // for flags
	title  string
	policy policy
	first  bool // of machines that nobody knows
	reach  time.Duration
}

// rows in the order of their measuring: a limit is tighter before it is wider, and new machines come last.
var rows = []row{
	{name: "idle", title: "no update; 95 % polls, 5 % events", reach: 53 * time.Microsecond},
	{name: "limit-10", title: "update for all, at most 10 in 15 min", policy: policy{true, 10}},
	{name: "limit-1000", title: "update for all, at most 1000 in 15 min", policy: policy{true, 1000}, reach: 53 * time.Microsecond},
	{name: "all", title: "update for all, no limit", policy: policy{true, 0}, reach: 53 * time.Microsecond},
	{name: "first", title: "first contact of new machines", first: true},
}

// The rows in the order of the report.
var shown = []string{"idle", "all", "limit-1000", "limit-10", "first"}

// firstContacts is the least that is to be reached in a second.
const firstContacts = 20_000

// plan of a row, against a fleet of which some are known. New machines are new in every turn.
func (r row) plan(known, turn int, s *settings) load.Plan {
	p := load.Plan{
		Fleet: fleet(), Mode: load.Poll, Machines: known, EventShare: .05, Connections: s.connections,
		Warmup: min(s.duration()/5, 3*time.Second), Duration: s.duration(),
	}
	if r.first {
		p.Mode, p.EventShare, p.Machines = load.Register, 0, 100_000*max(int(s.seconds), 1)
		p.Offset = known + turn*p.Machines
	}
	return p
}

// fleet is the machines of all rows.
func fleet() load.Fleet { return load.Flatcar(group, server.OldVersion) }

// outcome is a row that was measured, at least once.
type outcome struct {
	row   row
	known int
	turns []load.Result
}

// byCost is the turns, the cheapest request first.
func (o outcome) byCost() []load.Result {
	return slices.SortedFunc(slices.Values(o.turns), func(a, b load.Result) int { return cmp.Compare(a.PerRequest(), b.PerRequest()) })
}

// median is the turn in which a request cost no more than in half of the others, and no less than in the other half.
func (o outcome) median() load.Result { return o.byCost()[(len(o.turns)-1)/2] }

// cost of a request, and where it was measured several times the least and the most.
func (o outcome) cost() string {
	turns := o.byCost()
	cost := micro(o.median().PerRequest())
	if last := len(turns) - 1; last > 0 {
		cost += fmt.Sprintf(" (%s to %s)", micro(turns[0].PerRequest()), micro(turns[last].PerRequest()))
	}
	return cost
}

// inexact is the first turn in which not just so many machines were offered an update as the limit says.
func (o outcome) inexact() (load.Result, bool) {
	i := slices.IndexFunc(o.turns, func(r load.Result) bool {
		return o.row.policy.limit > 0 && r.Offered != min(o.row.policy.limit, o.known)
	})
	if i < 0 {
		return load.Result{}, false
	}
	return o.turns[i], true
}
