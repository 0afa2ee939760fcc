package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/bench/page"
	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// What is to be reached. The first two are what the payload promises; the others say what is meant by a machine that is not disturbed, and
// by a reader that asks for no random access.
const (
	mostFullBytes   = 150_000_000
	mostMemoryBytes = 64 << 20
	mostLater       = 2.0 // times the p95 of when nothing else happens
	leastReadBytes  = 64 << 10
	mostOldReads    = 1.1 // times the size of the old root
)

// write writes the report, and its picture beside it.
func (r results) write(out string) error {
	picture := strings.TrimSuffix(out, filepath.Ext(out)) + ".svg"
	var b strings.Builder
	fmt.Fprintf(&b, "# What an update costs its machine\n\nAs `make bench-update` measured it on a virtual machine, from when the agent begins to install until it waits for the reboot. "+
		"The machine's processor is run by %s.%s\n\n![latency of an application, and seconds](%s)\n\n", r.Accel, r.emulated(), filepath.Base(picture))
	r.writeLatencies(&b)
	r.writeUpdates(&b)
	r.writeDisk(&b)
	r.Image.write(&b)
	r.writeShort(&b)
	r.writeConditions(&b)
	if err := os.WriteFile(out, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(picture, []byte(r.picture()), 0o644)
}

func (r results) emulated() string {
	if r.Accel != lab.TCG {
		return ""
	}
	return " So whatever is computed takes many times as long as on a real machine, and what the disk does takes as long as there: compare rows with each other."
}

func (r results) writeLatencies(b *strings.Builder) {
	fmt.Fprintf(b, "## An application meanwhile\n\nA container that reads %d KiB of the disk past the page cache and hashes them for each request, asked %.0f times a second over HTTP, "+
		"whatever it answers (open loop). Latency counts from when a request was due.\n\n", answerBytes>>10, r.Rate)
	b.WriteString("| drive | meanwhile | requests | failed | p50 | p95 | p99 | slowest | p50 : alone | p95 : alone | p99 : alone | other work on the host |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, d := range r.Drives {
		alone := d.latency(quiet)
		for _, l := range d.Latencies {
			fmt.Fprintf(b, "| %s | %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %.1f CPUs |\n", d.Drive, l.Name, page.Number(l.Asked), l.Failed, ms(l.P50), ms(l.P95), ms(l.P99), ms(l.Max),
				times(l.P50, alone.P50), times(l.P95, alone.P95), times(l.P99, alone.P99), d.elsewhere(l.Name))
		}
	}
	b.WriteString("\n")
}

func (r results) writeUpdates(b *strings.Builder) {
	b.WriteString("## The agent\n\n| drive | | downloaded | seconds | of them the root | : as it is | CPU s | resident, at most | with the page cache |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	for _, d := range r.Drives {
		for _, p := range d.updates() {
			fmt.Fprintf(b, "| %s | %s | %s | %.0f | %.0f | %s | %.0f | %s | %s |\n", d.Drive, p.Name, page.Number(p.Cost.Downloaded), p.seconds(), p.Root.Seconds(), r.slowdown(p),
				p.Cost.CPU.Seconds(), mib(p.Cost.PeakRSS), mib(p.Cost.PeakMemory))
		}
	}
	b.WriteString("\nWhat is not the root is the UKI. Resident is VmHWM of the process, with the pages of the program that are mapped; with the page cache is memory.peak of its control group, " +
		"whose limit is 512 MiB: the kernel keeps there what the agent read and wrote until somebody needs the memory.\n\n")
}

// slowdown is how many times as long the middle update of this kind took as on the drive as it is.
func (r results) slowdown(p phase) string {
	for _, d := range r.Drives {
		if d.Drive.limited() {
			continue
		}
		var sum, n float64
		for _, q := range d.updates() {
			if q.Name == p.Name {
				sum, n = sum+q.seconds(), n+1
			}
		}
		if n > 0 {
			return fmt.Sprintf("%.2f", p.seconds()*n/sum)
		}
	}
	return ""
}

func (r results) writeDisk(b *strings.Builder) {
	b.WriteString("## The disk\n\nWhat QEMU carried out for the whole machine, without the reads of the application; and what was read of the partition that the old root is in, as the guest's kernel counts it.\n\n" +
		"| drive | | reads | MB | mean KiB | alone at the limit | writes | MB | mean KiB | alone at the limit | flushes | of the old root | MB | mean KiB |\n| --- | --- |" + strings.Repeat(" ---: |", 12) + "\n")
	for _, d := range r.Drives {
		for _, p := range d.updates() {
			t := p.ownTransfers(r.Rate)
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %d | %s | %s | %s |\n", d.Drive, p.Name,
				page.Number(t.Reads), mb(t.ReadBytes), mean(t.ReadBytes, t.Reads), d.Drive.atLimit(t.ReadBytes, t.Reads),
				page.Number(t.Writes), mb(t.WrittenBytes), mean(t.WrittenBytes, t.Writes), d.Drive.atLimit(t.WrittenBytes, t.Writes), t.Flushes,
				page.Number(p.Cost.OldReads), mb(p.Cost.OldBytes), mean(p.Cost.OldBytes, p.Cost.OldReads))
		}
	}
	b.WriteString("\n“Alone at the limit” are the seconds that the drive needs for these at least.\n\n")
}

// writeShort lists what was to be reached and was not.
func (r results) writeShort(b *strings.Builder) {
	var all shortfalls
	all.add(r.Image.BestBytes > mostFullBytes, "The full payload has %s bytes, to be %s at most.", page.Number(r.Image.BestBytes), page.Number(mostFullBytes))
	for _, d := range r.Drives {
		alone := d.latency(quiet)
		for _, l := range d.Latencies {
			isUpdate := l.Name == delta || l.Name == full
			all.add(isUpdate && float64(l.P95) > mostLater*float64(alone.P95), "%s, %s: p95 of the application is %s times that of nothing else, to be %.0f at most.",
				d.Drive, l.Name, times(l.P95, alone.P95), mostLater)
			all.add(l.Failed > 0, "%s, %s: %d requests failed.", d.Drive, l.Name, l.Failed)
		}
		for _, p := range d.updates() {
			c := p.Cost
			all.add(c.PeakRSS > mostMemoryBytes, "%s, %s: the agent had %s resident, to be %s at most.", d.Drive, p.Name, mib(c.PeakRSS), mib(mostMemoryBytes))
			all.add(p.Name == delta && c.OldBytes < leastReadBytes*c.OldReads, "%s: reads of the old root have %s KiB in the mean, to be %d at least.",
				d.Drive, mean(c.OldBytes, c.OldReads), leastReadBytes>>10)
			all.add(p.Name == delta && float64(c.OldBytes) > mostOldReads*float64(r.OldRootBytes), "%s: %s MB were read of an old root of %s MB.",
				d.Drive, mb(c.OldBytes), mb(r.OldRootBytes))
		}
	}
	fmt.Fprintf(b, "## What fell short\n\n%s\n", all)
}

// shortfalls are lines of a list.
type shortfalls []string

func (s *shortfalls) add(bad bool, format string, args ...any) {
	if bad {
		*s = append(*s, fmt.Sprintf("- "+format+"\n", args...))
	}
}

// String is the whole list.
func (s shortfalls) String() string {
	if len(s) == 0 {
		return "Nothing.\n"
	}
	return strings.Join(s, "")
}

func (r results) writeConditions(b *strings.Builder) {
	var machine, elsewhere, took time.Duration
	for _, d := range r.Drives {
		for _, p := range d.Phases {
			machine, elsewhere, took = machine+p.Machine, elsewhere+p.Elsewhere, took+p.To.Sub(p.From)
		}
	}
	lines := append(r.Conditions,
		fmt.Sprintf("While it was measured, the machine took %.2f CPUs of the host, and everything else %.2f, the service and other work on the computer included.",
			machine.Seconds()/took.Seconds(), elsewhere.Seconds()/took.Seconds()),
		"The machine has 1 GiB of memory and, when it is emulated, one processor. "+strings.Join(strings.FieldsFunc(r.Guest, func(c rune) bool { return c == '\n' }), ", ")+".",
		fmt.Sprintf("From %s to %s (%s, by a delta) and %s (%s, in full); the payloads of the tests, which are packed faster and a little larger than released ones. "+
			"Before each update the machine forgets what it has in memory of the disk.", fleet.AsReleased.Version, byDelta.Version, byDelta.What, inFull.Version, inFull.What),
		"An “SD card” is the same drive with 20 MB/s and 500 operations a second, “few operations” with 100 of any size; QEMU counts reads and writes together.",
		"The loop that only computes has CPUWeight=idle: all that it does to the application is to keep the processors of guest and host from being idle.",
	)
	if strings.Contains(r.Guest, "[none]") {
		lines = append(lines, "The machine's disk has no scheduler, as is usual for virtual ones, so nothing heeds the agent's IOSchedulingClass= and IOWeight=.")
	}
	b.WriteString("## Conditions\n\n")
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", line)
	}
}
