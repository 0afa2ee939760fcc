package main

import (
	"context"
	"time"
)

// row is one way to send an update.
type row struct {
	name     string // for flags
	title    string
	debian   string   // package of the programs, one of deps; "" for our own
	programs []string // that it starts
	slow     bool     // measured only when it is asked for
	estimate bool     // a bound that was computed, not a payload that anybody applies
	measure  func(context.Context, *trial) (result, error)
}

// trial is a row that is being measured on a pair, in a folder of its own.
type trial struct {
	*pair
	folder string
}

// result of a row.
type result struct {
	Bytes    int64     `json:"bytes"` // to send, of everything that a machine fetches
	Make     cost      `json:"make"`
	Apply    cost      `json:"apply"` // nothing for an estimate
	Note     string    `json:"note,omitempty"`
	Measured time.Time `json:"measured"`
	Version  string    `json:"version"` // of the Debian package
}

// rows in the order of the report. Each applies what it made, and fails unless that gives the new image or tree bit for bit.
var rows = []row{
	{name: "full", debian: "zstd", title: "the whole image by zstd -19", programs: []string{"zstd"}, measure: wholeZstd.measure},
	{name: "casync", debian: "casync", title: "casync", programs: []string{"casync"}, measure: measureCasync},
	{name: "zchunk", debian: "zchunk", title: "zchunk", programs: []string{"zck", "unzck", "zckdl"}, measure: measureZchunk},
	{name: "rauc", debian: "zstd", title: "RAUC's block hash index, estimate", programs: []string{"zstd"}, estimate: true, measure: estimateBlocks},
	{name: "xdelta3", debian: "xdelta3", title: "xdelta3 -9", programs: []string{"xdelta3"}, measure: xdelta.measure},
	{name: "zstd", debian: "zstd", title: "zstd -19 --patch-from", programs: []string{"zstd"}, measure: zstdPatch("-19").measure},
	{name: "zstd-ultra", debian: "zstd", title: "zstd --ultra -22 --patch-from", programs: []string{"zstd"}, slow: true, measure: zstdPatch("--ultra", "-22").measure},
	{name: "bsdiff", debian: "bsdiff", title: "bsdiff", programs: []string{"bsdiff", "bspatch"}, measure: measureBsdiff},
	{name: "ostree", debian: "ostree", title: "OSTree static delta", programs: []string{"ostree"}, measure: measureOSTree},
}
