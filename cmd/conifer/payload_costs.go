package main

import (
	"bytes"
	"fmt"
	"io"
	"path"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/treemap"
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
	case f.Old != "":
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

// The folders that a picture shows as groups are so deep that the costliest of them is not nearly everything.
const (
	maxDepth    = 6
	mostOfWhole = 0.4
)

// drawReport draws the costs of files as a treemap, in groups of folders.
func drawReport(file string, r *pack.Report) error {
	depth := 1
	for depth < maxDepth && len(r.Files) > 1 {
		folders := r.Folders(depth)
		if share64(folders[0].DataSizeBytes, r.DataSizeBytes) < mostOfWhole || folders[0].Path == "" {
			break
		}
		depth++
	}
	var cells []treemap.Cell
	for _, f := range r.Files {
		label := path.Base(f.Path)
		if f.Path == "" {
			label = nameOf(f, r)
		}
		cells = append(cells, treemap.Cell{Group: folderOf(f, depth), Label: label, Value: float64(f.DataSizeBytes), Text: cli.Bytes(f.DataSizeBytes)})
	}
	title := fmt.Sprintf("%s %s for %s", r.App, r.Version, r.Arch)
	subtitle := cli.Bytes(r.DataSizeBytes) + " in a full payload"
	if r.From != "" {
		subtitle = cli.Bytes(r.DataSizeBytes) + " in the delta from " + r.From
	}
	var b bytes.Buffer
	if err := treemap.Draw(&b, title, subtitle+", by the files that they are for", cells); err != nil {
		return err
	}
	_, err := pack.WriteFile(file, &b)
	return err
}

// folderOf is the folder of a file, at most so deep, in its target.
func folderOf(f pack.FileCost, depth int) string {
	folder := path.Dir(f.Path)
	if f.Path == "" || folder == "." {
		return f.Target
	}
	end := 0
	for range depth {
		next := bytes.IndexByte([]byte(folder[end:]), '/')
		if next < 0 {
			return f.Target + ": " + folder
		}
		end += next + 1
	}
	return f.Target + ": " + folder[:end-1]
}
