package main

import (
	"context"
	"os"
	"path/filepath"
)

// tool makes one file from two, and from the older and that file the newer.
type tool struct {
	make  func(from, to, payload string) []string
	apply func(from, payload, to string) []string
}

// measure makes and applies the payload from one image to the other.
func (t tool) measure(ctx context.Context, on *trial) (result, error) {
	return t.measureFiles(ctx, on.folder, on.oldImage(), on.newImage())
}

func (t tool) measureFiles(ctx context.Context, folder, from, to string) (r result, err error) {
	payload, applied := filepath.Join(folder, "payload"), filepath.Join(folder, "applied")
	if r.Make, err = measure(ctx, folder, t.make(from, to, payload)...); err != nil {
		return r, err
	}
	info, err := os.Stat(payload)
	if err != nil {
		return r, err
	}
	r.Bytes = info.Size()
	if r.Apply, err = measure(ctx, folder, t.apply(from, payload, applied)...); err != nil {
		return r, err
	}
	return r, sameFile(applied, to)
}

var wholeZstd = tool{
	make:  func(_, to, payload string) []string { return []string{"zstd", "-q", "-f", "-19", to, "-o", payload} },
	apply: func(_, payload, to string) []string { return []string{"zstd", "-q", "-f", "-d", payload, "-o", to} },
}

// zstdPatch takes the whole old image as the dictionary, which needs a window that is longer than both images.
func zstdPatch(level ...string) tool {
	return tool{
		make: func(from, to, payload string) []string {
			return append(append([]string{"zstd", "-q", "-f"}, level...), "--long=31", "--patch-from="+from, to, "-o", payload)
		},
		apply: func(from, payload, to string) []string {
			return []string{"zstd", "-q", "-f", "-d", "--long=31", "--patch-from=" + from, payload, "-o", to}
		},
	}
}

// xdeltaWindow is how much of the old image xdelta3 sees at a time: 1 GiB, more than an image has.
const xdeltaWindow = "1073741824"

var xdelta = tool{
	make: func(from, to, payload string) []string {
		return []string{"xdelta3", "-e", "-f", "-9", "-B", xdeltaWindow, "-s", from, to, payload}
	},
	apply: func(from, payload, to string) []string {
		return []string{"xdelta3", "-d", "-f", "-B", xdeltaWindow, "-s", from, payload, to}
	},
}
