package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

const (
	darkColor, lightColor = "#2f6f4f", "#a9cdb9"
	plotLeft, plotWidth   = 330, 400
	barHeight             = 22
	titleHeight           = 40
	lowMS, highMS         = 1.0, 10_000.0
)

// picture is the latencies on a scale where each line is ten times the one before, and the seconds of the updates, as SVG.
func (r results) picture() string {
	var rows, updates int
	for _, d := range r.Drives {
		rows, updates = rows+len(d.Latencies), updates+len(d.updates())
	}
	height := 2*titleHeight + (rows+updates)*barHeight + 40
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="%d" font-family="sans-serif" font-size="12">`+"\n", height)
	fmt.Fprintf(&b, `<rect width="860" height="%d" fill="#ffffff"/>`+"\n", height)
	r.drawLatencies(&b, rows)
	r.drawSeconds(&b, titleHeight+rows*barHeight+24)
	b.WriteString("</svg>\n")
	return b.String()
}

func (r results) drawLatencies(b *strings.Builder, rows int) {
	b.WriteString(`<text x="10" y="18" font-size="14">Latency of an application meanwhile: median, and p99 (each line is ten times the one before)</text>` + "\n")
	bottom := titleHeight + rows*barHeight
	for at := lowMS; at <= highMS; at *= 10 {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%.0f ms</text>`+"\n",
			along(at), titleHeight-4, along(at), bottom, along(at), bottom+14, at)
	}
	y := titleHeight
	for _, d := range r.Drives {
		for _, l := range d.Latencies {
			p50, p99 := along(l.P50.Seconds()*1000), along(l.P99.Seconds()*1000)
			label(b, y, fmt.Sprintf("%s: %s", d.Drive, short(l.Name)))
			rect(b, y, plotLeft, p99, lightColor)
			rect(b, y, plotLeft, p50, darkColor)
			fmt.Fprintf(b, `<text x="%.1f" y="%d">%s, %s</text>`+"\n", p99+5, y+15, ms(l.P50), ms(l.P99))
			y += barHeight
		}
	}
}

func (r results) drawSeconds(b *strings.Builder, y int) {
	fmt.Fprintf(b, `<text x="10" y="%d" font-size="14">Seconds of an update under %s: root, and UKI</text>`+"\n", y+18, r.Accel)
	y += titleHeight - 10
	most := 1.0
	for _, d := range r.Drives {
		for _, p := range d.updates() {
			most = max(most, p.seconds())
		}
	}
	for _, d := range r.Drives {
		for _, p := range d.updates() {
			end := plotLeft + plotWidth*p.seconds()/most
			label(b, y, fmt.Sprintf("%s: %s", d.Drive, short(p.Name)))
			rect(b, y, plotLeft, end, lightColor)
			rect(b, y, plotLeft, plotLeft+plotWidth*p.Root.Seconds()/most, darkColor)
			fmt.Fprintf(b, `<text x="%.1f" y="%d">%.0f s</text>`+"\n", end+5, y+15, p.seconds())
			y += barHeight
		}
	}
}

// short is a phase's name for a picture.
func short(name string) string {
	if name == looping {
		return "a loop with the weight of nothing"
	}
	return name
}

// along is how far to the right a latency is.
func along(ms float64) float64 {
	return plotLeft + plotWidth*math.Log10(min(max(ms, lowMS), highMS)/lowMS)/math.Log10(highMS/lowMS)
}

func label(b *strings.Builder, y int, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, plotLeft-8, y+15, html.EscapeString(text))
}

func rect(b *strings.Builder, y int, from, to float64, color string) {
	fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, from, y+3, max(to-from, 0), barHeight-7, color)
}
