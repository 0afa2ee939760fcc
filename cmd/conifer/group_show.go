package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/release"
)

// seriesCells is how many cells of a time series fit in a line.
const seriesCells = 48

// seriesSince says how far back the time series of `group show` goes: to the beginning of the rollout that is under way, but at
// least a day, so that what was before it is seen too; and how far apart its samples are.
func seriesSince(rollouts []admin.RolloutStatus, now time.Time) (since time.Time, step time.Duration) {
	const day = 24 * time.Hour
	since = now.Add(-day)
	for _, r := range rollouts {
		if r.Stopped.IsZero() && r.Started.Before(since) {
			since = r.Started
		}
	}
	switch age := now.Sub(since); {
	case age <= 2*day:
		return since, 5 * time.Minute
	case age <= 60*day:
		return since, time.Hour
	}
	return since, day
}

// groupView is what `group show` shows.
type groupView struct {
	admin.GroupStatus
	Series []store.Sample `json:"series"`
}

func (c *command) groupShow() *cobra.Command {
	var t target
	verb := c.verb("show NAME", "Show a group: its policy, versions, states, roll-outs and failures", takes("a NAME"),
		func(ctx context.Context, s *client.Client, args []string) error {
			status, err := s.Group(ctx, t.app, args[0])
			if err != nil {
				return err
			}
			since, step := seriesSince(status.Rollouts, time.Now())
			series, err := s.Samples(ctx, t.app, args[0], step, since)
			if err != nil {
				return err
			}
			view := groupView{status, list(series)}
			return c.show(view, func(w io.Writer) { printGroup(w, view) })
		})
	c.appFlag(verb, &t)
	return c.completeFirst(verb, groupNames)
}

func printGroup(w io.Writer, g groupView) {
	printPolicy(w, g.Group, g.Allowance)
	row(w, "machines", g.Machines)
	row(w, "downloads", downloadsText(g.Downloads))
	printSeries(w, g)
	versions := slices.SortedFunc(maps.Keys(g.Versions), func(a, b string) int {
		return cmp.Or(release.Compare(b, a), strings.Compare(a, b))
	})
	printShares(w, "VERSION", versions, g.Versions, g.Machines)
	printShares(w, "STATE", stateNames(), g.States, g.Machines)
	if len(g.Rollouts) > 0 {
		fmt.Fprintln(w)
		rolloutRows(w, g.Rollouts)
	}
	printFailures(w, g.Failures)
}

func printPolicy(w io.Writer, g store.Group, used store.Allowance) {
	row(w, "group", g.Name+" of "+g.App)
	row(w, "channel", g.Channel)
	row(w, "state", groupState(g))
	row(w, "percent", g.Percent)
	if g.MaxPerPeriod != "" {
		row(w, "max per period", fmt.Sprintf("%s, %d begun%s", g.MaxPerPeriod, used.Begun, againText(used.Again)))
	}
	if g.MaxAtOnce > 0 {
		row(w, "max at once", fmt.Sprintf("%d, %d under way", g.MaxAtOnce, used.Open))
	}
	row(w, "error budget", g.ErrorBudget)
	for _, window := range g.Windows {
		row(w, "window", window)
	}
	row(w, "silent after", g.SilentAfter)
}

// againText says when the next machine may begin, where that is known.
func againText(again time.Time) string {
	if again.IsZero() {
		return ""
	}
	return ", used up until " + again.UTC().Format(time.RFC3339)
}

// printShares draws how machines are spread over names, leaving out names that no machine has.
func printShares(w io.Writer, what string, names []string, counts map[string]int, whole int) {
	heading := false
	for _, name := range names {
		n := counts[name]
		if n == 0 {
			continue
		}
		if !heading {
			fmt.Fprintln(w)
			row(w, what, "MACHINES", "SHARE")
			heading = true
		}
		part := share(n, whole)
		row(w, cmp.Or(name, "unknown"), n, bar(part, wideCells)+" "+percent(part))
	}
}

func printFailures(w io.Writer, failures []admin.Failure) {
	if len(failures) == 0 {
		return
	}
	fmt.Fprintln(w)
	row(w, "FAILED ON", "ARCH", "STATE", "MACHINES", "REASON")
	for _, f := range failures {
		row(w, f.Version, f.Arch, f.State, f.Machines, f.Reason)
	}
}

// printSeries draws the share of machines that ran what is being rolled out now, over time.
func printSeries(w io.Writer, g groupView) {
	current := map[string]bool{}
	for _, r := range g.Rollouts {
		if r.Stopped.IsZero() {
			current[r.Version] = true
		}
	}
	if len(g.Series) < 2 || len(current) == 0 {
		return
	}
	var shares []float64
	for _, s := range thin(g.Series, seriesCells) {
		on, all := 0, 0
		for version, n := range s.Versions {
			all += n
			if current[version] {
				on += n
			}
		}
		shares = append(shares, share(on, all))
	}
	row(w, "updated", fmt.Sprintf("%s %s, from %s at %s", sparkline(shares), percent(shares[len(shares)-1]),
		percent(shares[0]), g.Series[0].At.UTC().Format(time.RFC3339)))
}
