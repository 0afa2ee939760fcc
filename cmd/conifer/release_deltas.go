package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// usualDeltas is from how many releases back there are deltas unless it is told: more than most machines ever lag behind.
const usualDeltas = 5

// deltaFlags say from which releases there shall be deltas.
type deltaFlags struct {
	last int
	from []string
}

func (c *command) deltaFlags(verb *cobra.Command, f *deltaFlags) {
	verb.Flags().IntVar(&f.last, "deltas", usualDeltas, "make deltas from so many releases of the repository before it; 0 for none")
	verb.Flags().StringSliceVar(&f.from, "delta-from", nil, "version of the repository from which there shall be a delta, too (repeatable)")
	c.completeFlag(verb, "delta-from", releaseVersions)
}

// order lists the versions from which a release shall have deltas: the named ones, the last of the repository, and, where the service is
// asked, those that machines of its channels run and the floors that they come over.
func (c *command) order(ctx context.Context, r *publish.Repository, rel *release.Release, f deltaFlags, ask bool) (publish.Order, error) {
	order := publish.Order{DeltaFrom: slices.Clone(f.from), Delta: pack.DeltaOptions{}}
	view, err := r.Check(time.Time{}) // what has expired is signed again by what follows
	if err != nil || f.last < 1 {
		return order, err
	}
	order.DeltaFrom = append(order.DeltaFrom, publish.Recent(view, rel.App, rel.Arch, rel.Version, f.last)...)
	if ask {
		known, err := c.worthDeltas(ctx, rel)
		if err != nil {
			return order, err
		}
		order.DeltaFrom = append(order.DeltaFrom, held(view, rel, known)...)
	}
	return order, nil
}

// worthDeltas asks the service which releases its channels point at, and which are floors.
func (c *command) worthDeltas(ctx context.Context, rel *release.Release) ([]string, error) {
	s, err := c.service()
	if err != nil {
		return nil, err
	}
	releases, err := s.Releases(ctx, rel.App)
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, known := range releases {
		if known.Arch == rel.Arch && (known.Floor != "" || len(known.Channels) > 0) {
			versions = append(versions, known.Version)
		}
	}
	return versions, nil
}

// held are those of the versions that a machine may be updated from and that the repository has. The service may know releases from
// elsewhere, of which there is nothing to make a delta from.
func held(view *trust.View, rel *release.Release, versions []string) []string {
	return slices.DeleteFunc(versions, func(v string) bool {
		_, err := view.Target(release.TargetPath(rel.App, rel.Arch, v))
		return err != nil || release.Compare(v, rel.Version) >= 0
	})
}

// releaseAddDeltas makes deltas to a release that was published before.
func (c *command) releaseAddDeltas() *cobra.Command {
	var t target
	var deltas deltaFlags
	var upload bool
	verb := signing("add-deltas VERSION --repository FOLDER --keys FOLDER [--delta-from V] [--upload]", "Make and sign deltas to a release that was published before",
		"Make and sign deltas to a release that was published before, from the same releases as `conifer release publish` does.\n\n"+
			"What it has stays as it is.",
		takes("a VERSION"), func(ctx context.Context, r *publish.Repository, args []string) error {
			order, err := c.order(ctx, r, &release.Release{App: t.app, Arch: t.arch, Version: args[0]}, deltas, upload)
			if err != nil {
				return err
			}
			p, err := r.AddDeltas(ctx, t.app, t.arch, args[0], order, c.step)
			if err != nil {
				return err
			}
			return c.bring(ctx, r, p, upload)
		})
	c.targetFlags(verb, &t)
	c.deltaFlags(verb, &deltas)
	verb.Flags().BoolVar(&upload, "upload", false, "send them to the service at --server and register them there")
	return c.completeFirst(verb, releaseVersions)
}
