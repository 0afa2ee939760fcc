package main

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/treemap"
)

// What is shown by itself in a picture: a folder as a group as long as its share is not too large, a file from a share on that can be
// seen.
const (
	largestGroup = 0.2
	smallestCell = 0.0004
)

// drawReport draws the costs of files as a treemap, in groups of folders.
func drawReport(file string, r *pack.Report) error {
	title := fmt.Sprintf("%s %s for %s", r.App, r.Version, r.Arch)
	subtitle := cli.Bytes(r.DataSizeBytes) + " in a full payload"
	if r.From != "" {
		subtitle = cli.Bytes(r.DataSizeBytes) + " in the delta from " + r.From
	}
	var b bytes.Buffer
	if err := treemap.Draw(&b, title, subtitle+", by the files that they are for", cellsOf(r)); err != nil {
		return err
	}
	_, err := pack.WriteFile(file, &b)
	return err
}

// cellsOf are the cells of a picture: the files, those of each group that are too small for one as one.
func cellsOf(r *pack.Report) []treemap.Cell {
	sums := folderSums(r)
	var cells []treemap.Cell
	type more struct {
		files     int
		sizeBytes int64
	}
	small := map[string]*more{}
	var groups []string
	for _, f := range r.Files {
		group := groupOf(f, sums, r.DataSizeBytes)
		if share64(f.DataSizeBytes, r.DataSizeBytes) >= smallestCell {
			cells = append(cells, cell(group, labelOf(f, r), f.DataSizeBytes))
			continue
		}
		if small[group] == nil {
			small[group] = &more{}
			groups = append(groups, group)
		}
		small[group].files++
		small[group].sizeBytes += f.DataSizeBytes
	}
	for _, group := range groups {
		cells = append(cells, cell(group, fmt.Sprintf("%d more files", small[group].files), small[group].sizeBytes))
	}
	return cells
}

func cell(group, label string, sizeBytes int64) treemap.Cell {
	return treemap.Cell{Group: group, Label: label, Value: float64(sizeBytes), Text: cli.Bytes(sizeBytes)}
}

func labelOf(f pack.FileCost, r *pack.Report) string {
	if f.Path != "" {
		return path.Base(f.Path)
	}
	return f.Target + " " + nameOf(f, r)
}

// folderSums says what each folder costs, with all that is below it. A folder is named with its target, and ends in a slash.
func folderSums(r *pack.Report) map[string]int64 {
	sums := map[string]int64{}
	for _, f := range r.Files {
		for folder := range foldersOf(f) {
			sums[folder] += f.DataSizeBytes
		}
	}
	return sums
}

// foldersOf goes through the folders that a file is in, from its target on.
func foldersOf(f pack.FileCost) func(yield func(string) bool) {
	whole := f.Target + "/" + f.Path
	return func(yield func(string) bool) {
		for i, c := range whole {
			if c == '/' && !yield(whole[:i+1]) {
				return
			}
		}
	}
}

// groupOf is the outermost folder of a file that is not too large for a group, or else the innermost.
func groupOf(f pack.FileCost, sums map[string]int64, whole int64) (group string) {
	for folder := range foldersOf(f) {
		group = strings.TrimSuffix(folder, "/")
		if share64(sums[folder], whole) <= largestGroup {
			break
		}
	}
	return group
}
