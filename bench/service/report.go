package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conifer.dev/conifer/bench/page"
)

// report is everything that was measured.
type report struct {
	settings   settings
	conditions []string
	ours, peer []outcome
	many       *many
}

// write writes the report, and its picture beside it.
func (r report) write() error {
	picture := strings.TrimSuffix(r.settings.out, filepath.Ext(r.settings.out)) + ".svg"
	var b strings.Builder
	fmt.Fprintf(&b, "# What the update service costs\n\nAs `make bench-service` measured it. CPU is that of the server%s, from /proc; the machines' own is not in it.\n\n",
		map[bool]string{true: " and its database"}[r.settings.database == "" || r.settings.databasePID != 0])
	if len(r.ours) > 0 {
		r.writeRows(&b)
		fmt.Fprintf(&b, "![CPU for a request](%s)\n\n", filepath.Base(picture))
	}
	if r.many != nil {
		r.many.write(&b)
	}
	r.writeShortfalls(&b)
	r.writeConditions(&b)
	if err := os.WriteFile(r.settings.out, []byte(b.String()), 0o644); err != nil {
		return err
	}
	if len(r.ours) == 0 {
		return nil
	}
	return os.WriteFile(picture, []byte(r.picture()), 0o644)
}

func (r report) writeRows(b *strings.Builder) {
	fmt.Fprintf(b, "| run | machines known | requests/s | CPU for a request | p50 | p99 | offered to | 1st size : last |%s\n", r.peerHead(" peer/s | peer CPU | peer p99 | peer offered to | less CPU |"))
	fmt.Fprintf(b, "| --- | --- | --- | --- | --- | --- | --- | --- |%s\n", r.peerHead(" --- | --- | --- | --- | --- |"))
	for _, name := range shown {
		for _, o := range r.ours {
			if o.row.name == name {
				m := o.median()
				fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |%s\n", o.row.title, page.Number(o.known), page.Number(int(m.PerSecond)),
					o.cost(), milli(m.Latency.P50), milli(m.Latency.P99), o.offered(), r.ratio(name), r.besides(o))
			}
		}
	}
	b.WriteString("\n")
}

// offered is how many machines were offered an update, where that is limited.
func (o outcome) offered() string {
	if o.row.policy.limit == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s", page.Number(o.median().Offered), page.Number(o.row.policy.limit))
}

func (r report) ratio(name string) string {
	if g := r.growth(name); g > 0 {
		return fmt.Sprintf("1 : %.2f", g)
	}
	return ""
}

func (r report) peerHead(columns string) string {
	if len(r.peer) == 0 {
		return ""
	}
	return columns
}

// besides is the peer in the same row.
func (r report) besides(o outcome) string {
	if len(r.peer) == 0 {
		return ""
	}
	for _, p := range r.peer {
		if p.row.name != o.row.name {
			continue
		}
		less, m := "", p.median()
		if per := o.median().PerRequest(); per > 0 && m.PerRequest() > 0 {
			less = fmt.Sprintf("%.0f times", float64(m.PerRequest())/float64(per))
		}
		return fmt.Sprintf(" %s | %s | %s | %s | %s |", page.Number(int(m.PerSecond)), p.cost(), milli(m.Latency.P99), p.offered(), less)
	}
	return " | | | | |"
}

func (m many) write(b *strings.Builder) {
	u := m.result.Memory["server"]
	fmt.Fprintf(b, "## %s machines, each asking once an hour\n\n| | measured | to be reached |\n| --- | --- | --- |\n", page.Number(m.machines))
	fmt.Fprintf(b, "| from the start of the program to ready (files in the page cache) | %.1f s | %.0f s |\n", m.start.Seconds(), manyStart.Seconds())
	fmt.Fprintf(b, "| CPU until then | %.1f s | |\n", m.atReady.CPU.Seconds())
	fmt.Fprintf(b, "| resident when ready | %.0f MiB | |\n| resident under load | %.0f MiB | |\n", m.atReady.ResidentMiB, u.ResidentMiB)
	fmt.Fprintf(b, "| the most that was resident | %.0f MiB | %d MiB |\n", m.resident(), manyResidentMiB)
	fmt.Fprintf(b, "| polls answered | %.0f/s | %.0f/s |\n", m.result.PerSecond, m.hourly())
	fmt.Fprintf(b, "| CPU | %.2f of a core, %s for a poll | %.1f of a core |\n", m.result.Cores(), micro(m.result.PerRequest()), manyCores)
	fmt.Fprintf(b, "| latency, from when the poll was due | p50 %s, p99 %s, longest %s | |\n\n", milli(m.result.Latency.P50), milli(m.result.Latency.P99), milli(m.result.Latency.Max))
}

func (r report) writeShortfalls(b *strings.Builder) {
	b.WriteString("## What fell short\n\n")
	all := r.shortfalls()
	if len(all) == 0 {
		b.WriteString("Nothing: every measured row reached its goal.\n")
	}
	for _, s := range all {
		fmt.Fprintf(b, "- %s\n", s)
	}
	fmt.Fprintf(b, "\nTo be reached: %s of CPU for a request in the rows without an update, without a limit and with the limit of 1000; %s first contacts a second; limits exactly; the same cost to %.0f %% for each size.\n\n",
		micro(rows[0].reach), page.Number(firstContacts), 100*(sameAcross-1))
}

func (r report) writeConditions(b *strings.Builder) {
	b.WriteString("## Conditions\n\n")
	database := "SQLite"
	if r.settings.database != "" {
		database = "PostgreSQL"
	}
	lines := append(r.conditions,
		fmt.Sprintf("%s; %d kept-alive connections, each asking as soon as it was answered; %.0f s a row and turn; machines and services on the same computer", database, r.settings.connections, r.settings.seconds),
		fmt.Sprintf("Each row is measured %d times, the sizes in turns, while the servers of the other sizes stand still. Shown is the turn with the median of the CPU for a request, and of that the least and the most; the ratio is of the medians.", r.settings.turns),
		"Polls are those of update_engine 0.4.10, each with the 3/2 event that it writes into every poll; 5 % of the requests are 13/1 events, which are on the disk before they are answered.",
		"First contact: each machine is unknown, asks once, and is answered no update. Those of a turn are known in the next.",
		fmt.Sprintf("“Offered to” counts machines, not answers: who holds a place is offered the update each time it asks. All rows of a size share a database, one after the other with %s; the group's policy changes between them, so that the places of the tighter limit count in the wider one.", strings.Join(measured(r.ours), ", ")),
	)
	if len(r.peer) > 0 {
		lines = append(lines, fmt.Sprintf("The peer: Nebraska at the address given, with %s machines known.", page.Number(r.peer[0].known)))
	}
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", line)
	}
}

// measured are the rows in the order of their measuring.
func measured(outcomes []outcome) (names []string) {
	for _, row := range rows {
		for _, o := range outcomes {
			if o.row.name == row.name {
				names = append(names, row.name)
				break
			}
		}
	}
	return names
}
