package server

import (
	"context"
	"fmt"
	"strings"
)

// Flatcar is the application that the load's machines run, with its id as an operator gives it.
const Flatcar = "e96281a6-d1af-4bde-9a0a-97b76e56dc57"

// OldVersion is what machines run before an update, NewVersion what a channel points at.
const (
	OldVersion = "4081.2.0"
	NewVersion = "4081.2.1"
)

// AddFlatcar makes the application with both versions, and channel and group stable at the new one.
func (s *Server) AddFlatcar(ctx context.Context) error {
	lines := []string{"app add --id " + Flatcar + " --name flatcar"}
	for _, version := range []string{OldVersion, NewVersion} {
		lines = append(lines, fmt.Sprintf("release add --app flatcar --version %s --arch amd64 --url http://127.0.0.1:1/%s/ --file flatcar_production_update.gz --size 477547077 --sha256 %s",
			version, version, strings.Repeat("5e", 32)))
	}
	return s.Operate(ctx, append(lines,
		"channel set stable --app flatcar --arch amd64 --release "+NewVersion,
		"group set stable --app flatcar --channel stable",
	)...)
}
