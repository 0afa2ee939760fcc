package main

import (
	"fmt"
	"slices"
	"time"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/bench/service/load"
)

// sameAcross is how much dearer a request may be to the largest fleet than to the smallest.
const sameAcross = 1.2

// shortfalls says what was to be reached and was not, in whole sentences.
func (r report) shortfalls() (all []string) {
	short := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, o := range r.ours {
		what := fmt.Sprintf("%s, %s known", o.row.title, page.Number(o.known))
		median := o.median()
		if reach, per := o.row.reach, median.PerRequest(); reach > 0 && per > reach {
			short("%s: %s of CPU for a request, to be %s at most.", what, micro(per), micro(reach))
		}
		if r, ok := o.inexact(); ok {
			short("%s: %d machines were offered an update, to be %d.", what, r.Offered, o.row.policy.limit)
		}
		if o.row.first && median.PerSecond < firstContacts {
			short("%s: %s in a second, to be %s.", what, page.Number(int(median.PerSecond)), page.Number(firstContacts))
		}
		if n := wrong(o.turns...); n > 0 {
			short("%s: %s answers were wrong, busy or missing.", what, page.Number(int(n)))
		}
	}
	for _, name := range shown {
		if ratio := r.growth(name); ratio > sameAcross {
			short("%s: the largest fleet costs %.2f times the smallest, to be %.1f at most.", rowNamed(name).title, ratio, sameAcross)
		}
	}
	if r.many != nil {
		all = append(all, r.many.shortfalls()...)
	}
	return all
}

// wrong counts what a service that is not overloaded never says.
func wrong(results ...load.Result) (n int64) {
	for _, r := range results {
		n += r.Errors + r.Of(load.Busy).Count + r.Of(load.Refused).Count + r.Of(load.Strange).Count
	}
	return n
}

func (m many) shortfalls() (all []string) {
	short := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("%s machines: ", page.Number(m.machines))+fmt.Sprintf(format, args...))
	}
	if m.start > manyStart {
		short("ready after %.0f s, to be %.0f at most.", m.start.Seconds(), manyStart.Seconds())
	}
	if m.resident() > manyResidentMiB {
		short("%.0f MiB resident, to be %d at most.", m.resident(), manyResidentMiB)
	}
	if m.result.Cores() > manyCores {
		short("%.2f cores for %.0f polls a second, to be %.1f at most.", m.result.Cores(), m.hourly(), manyCores)
	}
	if m.result.PerSecond < .99*m.hourly() || wrong(m.result) > 0 {
		short("%.0f of %.0f polls a second were answered well.", m.result.PerSecond-float64(wrong(m.result))/m.result.Elapsed.Seconds(), m.hourly())
	}
	return all
}

// resident is the most that the service needed, from its start to the end of the load.
func (m many) resident() float64 { return m.result.Memory["server"].PeakMiB }

// growth is the cost of a row to the largest fleet in terms of the smallest, 0 when it was measured at one size only.
func (r report) growth(name string) float64 {
	costs := map[int]time.Duration{}
	var sizes []int
	for _, o := range r.ours {
		if o.row.name == name {
			sizes, costs[o.known] = append(sizes, o.known), o.median().PerRequest()
		}
	}
	if len(sizes) < 2 {
		return 0
	}
	return float64(costs[slices.Max(sizes)]) / float64(costs[slices.Min(sizes)])
}

func rowNamed(name string) row {
	return rows[slices.IndexFunc(rows, func(r row) bool { return r.name == name })]
}

// micro is a short time as people compare it: in microseconds.
func micro(d time.Duration) string {
	us := float64(d) / 1000
	if us >= 100 {
		return page.Number(int(us+.5)) + " µs"
	}
	return fmt.Sprintf("%.1f µs", us)
}

// milli is a latency in milliseconds.
func milli(d time.Duration) string {
	ms := float64(d) / 1e6
	if ms >= 100 {
		return page.Number(int(ms+.5)) + " ms"
	}
	return fmt.Sprintf("%.1f ms", ms)
}
