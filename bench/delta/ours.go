package main

import (
	"context"
	"path/filepath"
)

// ours is the row of Conifer's own payload, made and applied by the program in the folder of programs. It is measured each time, and
// only when it is asked for.
func ours(programs string) (row, error) {
	conifer, err := filepath.Abs(filepath.Join(programs, "conifer"))
	return row{name: "ours", title: "Conifer", programs: []string{conifer}, measure: func(ctx context.Context, on *trial) (result, error) {
		return measureOurs(ctx, conifer, on.folder, on.oldImage(), on.newImage())
	}}, err
}

// measureOurs makes a payload from one image to the other in folder, and applies it.
func measureOurs(ctx context.Context, conifer, folder, from, to string) (result, error) {
	return tool{
		make: func(from, to, payload string) []string {
			return []string{conifer, "payload", "make", "--from", from, "--to", to, "--out", payload}
		},
		apply: func(from, payload, to string) []string {
			return []string{conifer, "payload", "apply", "--from", from, "--payload", payload, "--out", to}
		},
	}.measureFiles(ctx, folder, from, to)
}
