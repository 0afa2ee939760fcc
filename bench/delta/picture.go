package main

import (
	"fmt"
	"html"
	"strings"

	"conifer.dev/conifer/bench/page"
)

const (
	ourColor, peerColor, estimateColor = "#2f6f4f", "#b06a3b", "#d8b59d"

	plotLeft, plotWidth = 250, 480
	barHeight           = 22
	titleHeight         = 34
)

// picture is the bytes of every row, as SVG; all pairs share a scale.
func (r report) picture() string {
	height, most := 10, int64(1)
	for _, m := range r.pairs {
		height += titleHeight + len(m.rows)*barHeight
		for _, x := range m.results {
			most = max(most, x.Bytes)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="%d" font-family="sans-serif" font-size="12">`+"\n", height)
	fmt.Fprintf(&b, `<rect width="860" height="%d" fill="#ffffff"/>`+"\n", height)
	y := 0
	for _, m := range r.pairs {
		fmt.Fprintf(&b, `<text x="10" y="%d" font-size="14">Bytes to send: %s, %s</text>`+"\n", y+22, html.EscapeString(m.name), html.EscapeString(m.title))
		y += titleHeight
		for i, w := range m.rows {
			bar(&b, y, w, m.results[i].Bytes, float64(plotWidth)*float64(m.results[i].Bytes)/float64(most))
			y += barHeight
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func bar(b *strings.Builder, y int, w row, bytes int64, width float64) {
	color := ourColor
	switch {
	case w.estimate:
		color = estimateColor
	case w.peer():
		color = peerColor
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, plotLeft-8, y+15, html.EscapeString(w.title))
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, plotLeft, y+3, width, barHeight-7, color)
	fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", plotLeft+width+5, y+15, page.Number(bytes))
}
