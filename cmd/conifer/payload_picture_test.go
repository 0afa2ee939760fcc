package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/treemap"
)

// A folder that is nearly everything is no group: those in it are. What is too small to be seen is drawn as one.
func TestCellsOfAPicture(t *testing.T) {
	r := &pack.Report{DataSizeBytes: 10_000, Files: []pack.FileCost{
		{Target: "root", Path: "usr/lib/modules/a.ko", DataSizeBytes: 5000},
		{Target: "uki", DataSizeBytes: 2000},
		{Target: "root", Path: "usr/bin/b", DataSizeBytes: 1500},
		{Target: "root", Path: "usr/lib/c", DataSizeBytes: 1000},
		{Target: "root", DataSizeBytes: 495},
		{Target: "root", Path: "usr/bin/d", DataSizeBytes: 3},
		{Target: "root", Path: "usr/bin/sub/e", DataSizeBytes: 2},
	}}
	want := []treemap.Cell{
		{Group: "root/usr/lib/modules", Label: "a.ko", Value: 5000, Text: "5.0 kB"},
		{Group: "uki", Label: "uki (all of it)", Value: 2000, Text: "2.0 kB"},
		{Group: "root/usr/bin", Label: "b", Value: 1500, Text: "1.5 kB"},
		{Group: "root/usr/lib", Label: "c", Value: 1000, Text: "1.0 kB"},
		{Group: "root", Label: "root (in no file, or less than a byte each)", Value: 495, Text: "495 B"},
		{Group: "root/usr/bin", Label: "2 more files", Value: 5, Text: "5 B"},
	}
	if diff := cmp.Diff(want, cellsOf(r)); diff != "" {
		t.Error(diff)
	}
}
