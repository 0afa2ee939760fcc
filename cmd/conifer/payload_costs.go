package main

import (
	"fmt"
	"io"
	"path"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
)

// printCosts lists the files that a payload's data are for, at most so many.
func printCosts(w io.Writer, r *pack.Report, most int) {
	files := r.Files
	if most > 0 && len(files) > most {
		files = files[:most]
	}
	fmt.Fprintln(w)
	row(w, "data", "share", "of", "target", "file")
	left := r.DataSizeBytes
	for _, f := range files {
		row(w, cli.Bytes(f.DataSizeBytes), percent(share64(f.DataSizeBytes, r.DataSizeBytes)), cli.Bytes(f.SizeBytes), f.Target, nameOf(f, r))
		left -= f.DataSizeBytes
	}
	if n := len(r.Files) - len(files); n > 0 {
		row(w, cli.Bytes(left), percent(share64(left, r.DataSizeBytes)), "", "", fmt.Sprintf("(%d more files)", n))
	}
}

// nameOf is what people are told of a file.
func nameOf(f pack.FileCost, r *pack.Report) string {
	switch {
	case f.Old != "" && path.Base(f.Old) != path.Base(f.Path):
		return f.Path + " (from " + f.Old + ")"
	case f.Path != "":
		return f.Path
	}
	for _, other := range r.Files {
		if other.Target == f.Target && other.Path != "" {
			return "(in no file, or less than a byte each)"
		}
	}
	return "(all of it)"
}

func share64(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
