package main

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"conifer.dev/conifer/bench/page"
)

// bar is one line of the picture.
type bar struct {
	label, color string
	cost         time.Duration
}

const (
	ourColor, peerColor = "#2f6f4f", "#b06a3b"
	plotLeft, plotWidth = 330, 430
	barHeight           = 22
	scaleLow, scaleHigh = 1e0, 1e5 // microseconds
)

// bars of all rows in the order of the report, the peer's before ours.
func (r report) bars() (all []bar) {
	for _, name := range shown {
		for _, p := range r.peer {
			if p.row.name == name {
				all = append(all, bar{"peer: " + p.row.title, peerColor, p.median().PerRequest()})
			}
		}
		for _, o := range r.ours {
			if o.row.name == name {
				all = append(all, bar{fmt.Sprintf("%s (%s)", o.row.title, page.Number(o.known)), ourColor, o.median().PerRequest()})
			}
		}
	}
	return all
}

// along is how far to the right a cost is, on a scale where each step is ten times the one before.
func along(us float64) float64 {
	return plotLeft + plotWidth*math.Log10(min(max(us, scaleLow), scaleHigh)/scaleLow)/math.Log10(scaleHigh/scaleLow)
}

// picture is the CPU for a request in every row, as SVG.
func (r report) picture() string {
	bars := r.bars()
	height := len(bars)*barHeight + 60
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="860" height="%d" font-family="sans-serif" font-size="12">`+"\n", height)
	fmt.Fprintf(&b, `<rect width="860" height="%d" fill="#ffffff"/><text x="10" y="18" font-size="14">CPU for a request (each line is ten times the one before)</text>`+"\n", height)
	for us := scaleLow; us <= scaleHigh; us *= 10 {
		line(&b, along(us), height-22, "#dddddd", fmt.Sprintf("%s µs", page.Number(int(us))))
	}
	for i, bar := range bars {
		us, y := float64(bar.cost)/1000, 28+i*barHeight
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, plotLeft-8, y+15, html.EscapeString(bar.label))
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, plotLeft, y+3, along(us)-plotLeft, barHeight-7, bar.color)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", along(us)+5, y+15, micro(bar.cost))
	}
	goal := along(float64(rows[0].reach) / 1000)
	line(&b, goal, height-22, "#c02020", "")
	fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#c02020">goal %s</text>`+"\n</svg>\n", goal, height-24, micro(rows[0].reach))
	return b.String()
}

func line(b *strings.Builder, x float64, bottom int, color, label string) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="26" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%s</text>`+"\n",
		x, x, bottom, color, x, bottom+14, label)
}
