package main

import (
	"context"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store"
)

// devApp is what --dev adds: our own operating system.
var devApp = store.App{ID: "conifer-os", Name: "conifer"}

// addDefaults adds the application with a channel and a group for each step of a release, all empty. What an operator
// has set stays: a group that exists is not touched.
func addDefaults(ctx context.Context, f *fleet.Fleet) error {
	if err := f.AddApp(ctx, "--dev", devApp); err != nil {
		return err
	}
	for _, name := range []string{"alpha", "beta", "stable"} {
		if err := f.AddChannel(ctx, "--dev", devApp.ID, name); err != nil {
			return err
		}
		if _, err := f.SetGroup(ctx, "--dev", name, admin.GroupPatch{App: devApp.ID}); err != nil {
			return err
		}
	}
	return nil
}
