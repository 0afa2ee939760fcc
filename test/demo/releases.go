package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// buildReleases makes keys and the four releases, or finds them in the cache, and says what the update fixes.
func (d *demo) buildReleases(ctx context.Context) error {
	if err := d.factory.MakeKeys(ctx); err != nil {
		return err
	}
	d.releases = map[string]string{}
	recipes := []fleet.Recipe{fleet.AsReleased, fleet.WithFixes, fleet.NeverWell, fleet.NeverBoots}
	for i, r := range recipes {
		began := time.Now()
		folder, cached, err := d.factory.Release(ctx, r)
		if err != nil {
			return fmt.Errorf("build %s: %w", r.Version, err)
		}
		d.releases[r.Version] = folder
		how := fmt.Sprintf("built in %s", time.Since(began).Round(time.Second))
		if cached {
			how = "from the cache"
		}
		d.timeline.say("factory", "%s, %s: %s (%d of %d)", r.Version, r.What, how, i+1, len(recipes))
	}
	diff, err := d.factory.Conifer(ctx, "image", "diff", d.releases[asReleased], d.releases[withFixes])
	if err != nil {
		return err
	}
	for line := range strings.Lines(diff) {
		if line = strings.TrimSpace(line); line != "" {
			d.timeline.say("factory", "%s", shorten(line))
		}
	}
	return nil
}

// shorten cuts the CVE ids of a package where they would fill the screen; `conifer image diff` shows more.
func shorten(line string) string {
	const width = 170
	if len(line) <= width {
		return line
	}
	return line[:strings.LastIndexByte(line[:width], ' ')] + " …"
}
