package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/test/lab"
)

// summary prints what the run measured.
func (d *demo) summary(out io.Writer) {
	fmt.Fprintf(out, "\nSummary, since the machines were up\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "machine\tgroup\treboots seen\tmachine down\tapplication silent\tdownloaded\tCPU seconds of the guest")
	for _, m := range d.fleet.Machines {
		down, silent := m.Agent.Outages(d.started), m.Web.Outages(d.started)
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%.0f\n", m.Name, m.Group, len(down),
			seconds(lab.Total(down)), seconds(lab.Total(silent)), cli.Bytes(d.downloaded[m.Name]), m.CPUTime().Seconds())
	}
	w.Flush()
	fmt.Fprintf(out, "\nfrom publishing %s to the last machine patched: %s\n", withFixes, d.patched.Sub(d.published).Round(time.Second))
	for _, version := range slices.Sorted(maps.Keys(d.transferred)) {
		fmt.Fprintf(out, "the service sent of %s: %s\n", version, cli.Bytes(d.transferred[version]))
	}
	fmt.Fprintf(out, "the whole demo: %s\n", d.timeline.at())
	if len(d.failures) == 0 {
		fmt.Fprintf(out, "\nEverything held.\n")
		return
	}
	fmt.Fprintf(out, "\nDid not hold:\n")
	for _, f := range d.failures {
		fmt.Fprintf(out, "  %s\n", f)
	}
}
