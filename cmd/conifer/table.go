package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// row writes one line of a table.
func row(w io.Writer, cells ...any) {
	var texts []string
	for _, cell := range cells {
		text := fmt.Sprint(cell)
		if at, ok := cell.(time.Time); ok {
			text = at.UTC().Format(time.RFC3339)
		}
		if text == "" {
			text = "-"
		}
		texts = append(texts, text)
	}
	fmt.Fprintln(w, strings.Join(texts, "\t"))
}

// sorted lists a map as key=value.
func sorted(m map[string]string) string {
	var pairs []string
	for k, v := range m {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, " ")
}

// How wide a whole bar is, alone in its line and beside others.
const (
	wideCells   = 30
	narrowCells = 10
)

// bar draws a share, from 0 to 1. What is not nothing is seen, and what is not everything is not drawn as such.
func bar(share float64, cells int) string {
	full := int(share*float64(cells) + 0.5)
	switch {
	case share > 0 && full == 0:
		full = 1
	case share < 1 && full == cells:
		full--
	}
	full = min(max(full, 0), cells)
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
}

// percent prints a share, from 0 to 1; under ten percent with one decimal, so that a canary is not nothing.
func percent(share float64) string {
	if share > 0 && share < 0.1 {
		return fmt.Sprintf("%.1f %%", share*100)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

// share is a part of a whole, from 0 to 1.
func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// sparks are the heights of a sparkline.
var sparks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws shares, from 0 to 1, one cell each.
func sparkline(shares []float64) string {
	var line strings.Builder
	for _, s := range shares {
		height := int(min(max(s, 0), 1)*float64(len(sparks)-1) + 0.5)
		line.WriteRune(sparks[height])
	}
	return line.String()
}

// thin keeps at most so many of the items, evenly spread, with the last one among them.
func thin[T any](items []T, most int) []T {
	if len(items) <= most {
		return items
	}
	var kept []T
	for i := 1; i <= most; i++ {
		kept = append(kept, items[i*len(items)/most-1])
	}
	return kept
}
