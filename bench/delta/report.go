package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"conifer.dev/conifer/bench/page"
)

// report is everything that was measured, now or in an earlier run.
type report struct {
	settings   settings
	conditions []string
	versions   map[string]string
	pairs      []measured
}

// write writes the report, and its picture beside it.
func (r report) write() error {
	picture := strings.TrimSuffix(r.settings.out, filepath.Ext(r.settings.out)) + ".svg"
	var b strings.Builder
	b.WriteString("# How much an update sends\n\nAs `make bench-delta` measured it: the bytes that a machine with the old image fetches to have the new one, " +
		"for what Debian ships to make them few. All but estimates were applied, and gave the new image or tree bit for bit.\n\n")
	fmt.Fprintf(&b, "![bytes to send](%s)\n\n", filepath.Base(picture))
	for _, m := range r.pairs {
		if err := m.write(&b); err != nil {
			return err
		}
	}
	r.writeConditions(&b)
	if err := os.WriteFile(r.settings.out, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(picture, []byte(r.picture()), 0o644)
}

func (m measured) write(b *strings.Builder) error {
	about, err := m.about()
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "## %s: %s\n\n%s\n\n", m.name, m.title, about)
	b.WriteString("| | bytes to send | of the best peer | s to make | CPU s | s to apply | CPU s | peak memory to apply |\n")
	b.WriteString("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	best := m.best()
	for i, w := range m.rows {
		x := m.results[i]
		fmt.Fprintf(b, "| %s | %s | %s | %.1f | %.1f | %s |\n", w.title, page.Number(x.Bytes), ratio(x.Bytes, best), x.Make.Seconds, x.Make.CPUSeconds, x.applied(w))
	}
	b.WriteString("\n")
	for i, w := range m.rows {
		if note := m.results[i].Note; note != "" {
			fmt.Fprintf(b, "- %s: %s.\n", w.title, note)
		}
	}
	if left := m.leftOut(); len(left) > 0 {
		fmt.Fprintf(b, "- Left out: %s.\n", strings.Join(left, ", "))
	}
	b.WriteString("\n")
	return nil
}

// leftOut are the peers that have no result, any of which might be the best.
func (m measured) leftOut() (titles []string) {
	for _, w := range rows {
		if !slices.ContainsFunc(m.rows, func(have row) bool { return have.name == w.name }) {
			titles = append(titles, w.title)
		}
	}
	return titles
}

// best is the fewest bytes of a peer's payload, 0 when there is none.
func (m measured) best() (bytes int64) {
	for i, w := range m.rows {
		if x := m.results[i].Bytes; w.peer() && (bytes == 0 || x < bytes) {
			bytes = x
		}
	}
	return bytes
}

// peer is a row that ours is compared with.
func (w row) peer() bool { return w.debian != "" && !w.estimate }

func ratio(bytes, best int64) string {
	if best == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(bytes)/float64(best))
}

func (x result) applied(w row) string {
	if w.estimate {
		return "| |"
	}
	return fmt.Sprintf("%.1f | %.1f | %.0f MiB", x.Apply.Seconds, x.Apply.CPUSeconds, x.Apply.PeakMiB)
}

// about says what the pair is.
func (m measured) about() (string, error) {
	old, err := os.ReadFile(m.oldTree() + ".packages")
	if err != nil {
		return "", err
	}
	changed, all, debBytes := 0, 0, int64(0)
	text, err := os.ReadFile(m.newTree() + ".packages")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		all++
		if strings.Contains(string(old), line) {
			continue
		}
		changed++
		if f := strings.Fields(line); len(f) == 3 {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return "", err
			}
			debBytes += n
		}
	}
	from, err := os.Stat(m.oldImage())
	if err != nil {
		return "", err
	}
	to, err := os.Stat(m.newImage())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("From %s to %s, %s: %d of %d packages differ, whose files have %s bytes; the images have %s and %s.",
		m.from, m.to, from.ModTime().UTC().Format(time.DateOnly), changed, all, page.Number(debBytes), page.Number(from.Size()), page.Number(to.Size())), nil
}

func (r report) writeConditions(b *strings.Builder) {
	lines := append(r.conditions,
		"The packages are those of a container host, "+strings.Join(wanted(r.settings.arch), " ")+" and what they depend on, unpacked without running their scripts, "+
			"kernel modules decompressed, all files with one time and owner, in an erofs that is not compressed. So there is no initrd in it.",
		"Seconds are those on the wall; CPU seconds depend less on what else the computer did. Making takes the old image or tree as given, with "+
			"whatever the peer keeps of it. Peak memory is the most that one process had resident, mapped files included.",
		"Results are kept until the packages or the peer's version change"+r.span()+".",
		"From Debian: "+r.programs()+".",
	)
	b.WriteString("## Conditions\n\n")
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", line)
	}
}

// span is when the rows were measured.
func (r report) span() string {
	var first, last time.Time
	for _, m := range r.pairs {
		for _, x := range m.results {
			if first.IsZero() || x.Measured.Before(first) {
				first = x.Measured
			}
			if x.Measured.After(last) {
				last = x.Measured
			}
		}
	}
	if first.IsZero() {
		return ""
	}
	const minute = "2006-01-02 15:04"
	return fmt.Sprintf("; these are from %s to %s UTC", first.Format(minute), last.Format(minute))
}

func (r report) programs() string {
	var all []string
	for _, name := range deps() {
		if v := r.versions[name]; v != "" {
			all = append(all, name+" "+v)
		}
	}
	return strings.Join(all, ", ")
}
