package main

import (
	"fmt"
	"strings"

	"conifer.dev/conifer/bench/page"
)

// shownShares is how many rows the tables of files and folders have.
const shownShares = 12

// write says what dominates the full payload.
func (m image) write(b *strings.Builder) {
	fmt.Fprintf(b, "## The full payload\n\n%s bytes as it is released (--level best), %s as the tests pack it (--level fast); to be %s at most.\n\n",
		page.Number(m.BestBytes), page.Number(m.FastBytes), page.Number(mostFullBytes))
	m.table(b, "folder", m.Folders[:min(shownShares, len(m.Folders))])
	m.table(b, "file", m.Files[:min(shownShares, len(m.Files))])
	b.WriteString("What it could do without:\n\n| | files | bytes | in the payload | what goes with it |\n| --- | ---: | ---: | ---: | --- |\n")
	var sum int64
	for i, s := range m.Candidates {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", s.Name, s.Files, page.Number(s.SizeBytes), page.Number(s.DataBytes), candidates[i].loss)
		sum += s.DataBytes
	}
	fmt.Fprintf(b, "\nAll of these are %s bytes, %s of the payload.\n\n", page.Number(sum), m.part(sum))
}

func (m image) table(b *strings.Builder, what string, rows []share) {
	fmt.Fprintf(b, "| %s | files | bytes | in the payload | of it |\n| --- | ---: | ---: | ---: | ---: |\n", what)
	for _, s := range rows {
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s |\n", s.Name, s.Files, page.Number(s.SizeBytes), page.Number(s.DataBytes), m.part(s.DataBytes))
	}
	b.WriteString("\n")
}

func (m image) part(bytes int64) string {
	return fmt.Sprintf("%.1f %%", 100*float64(bytes)/float64(m.BestBytes))
}
