// Package treemap draws what a whole is made of: rectangles in proportion to their values, in groups.
//
// Start with [Draw], which writes an SVG that stands alone. Equal cells give equal bytes. A label is drawn where it fits; every
// cell has its group, label and value as a title, which a browser shows. The package knows nothing of payloads.
package treemap

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

// Cell is one thing of a picture.
type Cell struct {
	Group string // cells of one group are drawn together
	Label string
	Value float64 // at least 0
	Text  string  // the value, for people
}

// The size of the picture, and of its letters.
const (
	width, height = 1200.0, 760.0
	margin        = 12.0
	headPixels    = 56.0 // above the cells
	titlePixels   = 20.0
	groupPixels   = 13.0
	cellPixels    = 12.0
	groupHead     = groupPixels + 6
	letterWidth   = 0.58 // of a letter's height; a little more than most letters have
)

// colors of the groups, dark enough for white letters (4.5:1) and apart for most eyes.
var colors = []string{"#1f5f8b", "#9a4b12", "#2e6b3e", "#7a3b78", "#8a2f3b", "#4a5a1f", "#2f5d62", "#5b4a8a"}

// rest is the color of the groups that are too many to have their own.
const rest = "#555b61"

// group is the cells of one group.
type group struct {
	name  string
	cells []Cell
	value float64
	color string
}

// Draw writes the picture of the cells, with a title and a line below it.
func Draw(w io.Writer, title, subtitle string, cells []Cell) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" font-family="system-ui, sans-serif">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#ffffff"/>`+"\n", width, height)
	text(&b, margin, margin+titlePixels, titlePixels, "#1a1d20", title)
	text(&b, margin, margin+titlePixels+20, groupPixels, "#555b61", subtitle)
	groups := groupsOf(cells)
	area := rect{margin, headPixels, width - 2*margin, height - headPixels - margin}
	for i, r := range squarify(valuesOf(groups, func(g group) float64 { return g.value }), area) {
		groups[i].draw(&b, r)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func valuesOf[T any](all []T, value func(T) float64) []float64 {
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = value(one)
	}
	return values
}

// groupsOf puts cells into groups; the largest come first. Cells without a value are left out.
func groupsOf(cells []Cell) []group {
	byName := map[string]int{}
	var groups []group
	for _, c := range cells {
		if c.Value <= 0 {
			continue
		}
		i, ok := byName[c.Group]
		if !ok {
			i = len(groups)
			byName[c.Group] = i
			groups = append(groups, group{name: c.Group})
		}
		groups[i].cells = append(groups[i].cells, c)
		groups[i].value += c.Value
	}
	slices.SortStableFunc(groups, func(a, b group) int { return cmp.Compare(b.value, a.value) })
	for i := range groups {
		groups[i].color = rest
		if i < len(colors) {
			groups[i].color = colors[i]
		}
		slices.SortStableFunc(groups[i].cells, func(a, b Cell) int { return cmp.Compare(b.Value, a.Value) })
	}
	return groups
}

// draw draws a group: its name where there is room for it, and its cells.
func (g *group) draw(b *strings.Builder, r rect) {
	fmt.Fprintf(b, `<g><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#ffffff" stroke="#ffffff" stroke-width="2"/>`+"\n", r.x, r.y, r.width, r.height)
	inner := rect{r.x + 1, r.y + 1, max(r.width-2, 0), max(r.height-2, 0)}
	if name := fitEnd(g.name, inner.width-6, groupPixels); name != "" && inner.height > 3*groupHead {
		text(b, inner.x+3, inner.y+groupPixels, groupPixels, g.color, name)
		inner.y, inner.height = inner.y+groupHead, inner.height-groupHead
	}
	for i, place := range squarify(valuesOf(g.cells, func(c Cell) float64 { return c.Value }), inner) {
		g.cells[i].draw(b, place, g.color)
	}
	b.WriteString("</g>\n")
}

func (c *Cell) draw(b *strings.Builder, r rect, color string) {
	fmt.Fprintf(b, `<g><title>%s: %s: %s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" stroke="#ffffff" stroke-width="1"/>`,
		html.EscapeString(c.Group), html.EscapeString(c.Label), html.EscapeString(c.Text), r.x, r.y, r.width, r.height, color)
	if label := fit(c.Label, r.width-8, cellPixels); label != "" && r.height > cellPixels+6 {
		text(b, r.x+4, r.y+cellPixels+2, cellPixels, "#ffffff", label)
		if value := fit(c.Text, r.width-8, cellPixels); value == c.Text && r.height > 2*cellPixels+10 {
			text(b, r.x+4, r.y+2*cellPixels+6, cellPixels, "#ffffff", value)
		}
	}
	b.WriteString("</g>\n")
}

// minLetters is how much of a text must fit for it to say something.
const minLetters = 5

// fit shortens a text that is too long; "" when too little of it would be left.
func fit(s string, width, pixels float64) string {
	letters, room := []rune(s), lettersIn(width, pixels)
	switch {
	case len(letters) <= room:
		return s
	case room < minLetters:
		return ""
	}
	return string(letters[:room-1]) + "…"
}

// fitEnd does the same for a path, the end of which says more.
func fitEnd(s string, width, pixels float64) string {
	letters, room := []rune(s), lettersIn(width, pixels)
	switch {
	case len(letters) <= room:
		return s
	case room < minLetters:
		return ""
	}
	return "…" + string(letters[len(letters)-room+1:])
}

func lettersIn(width, pixels float64) int { return int(width / (pixels * letterWidth)) }

func text(b *strings.Builder, x, y, pixels float64, color, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%g" fill="%s">%s</text>`+"\n", x, y, pixels, color, html.EscapeString(s))
}
