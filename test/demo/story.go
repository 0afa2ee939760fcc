package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// options of one run.
type options struct {
	binaries, cache, folder string
	keep                    bool
}

// demo is one run of the story.
type demo struct {
	options
	timeline *timeline
	factory  *fleet.Factory
	fleet    *fleet.Fleet
	releases map[string]string // version -> release folder

	started   time.Time // when the machines were up
	published time.Time // when 1.1.0 was published
	patched   time.Time // when the last machine ran it
	failures  []string

	transferred map[string]int64 // version -> bytes that the service sent
	downloaded  map[string]int64 // machine -> bytes of payloads that it received
}

// The versions of the story.
var (
	asReleased = fleet.AsReleased.Version
	withFixes  = fleet.WithFixes.Version
	neverWell  = fleet.NeverWell.Version
	neverBoots = fleet.NeverBoots.Version
)

// Limits that nothing in the story should come near, even under emulation.
const (
	bootLimit   = 10 * time.Minute
	updateLimit = 15 * time.Minute
)

func run(ctx context.Context, o options) error {
	d := &demo{options: o, timeline: newTimeline(os.Stdout), downloaded: map[string]int64{},
		factory: &fleet.Factory{Source: ".", Binaries: o.binaries, Cache: o.cache, Talk: os.Stderr}}
	if d.folder == "" {
		folder, held, err := newFolder(filepath.Join(o.cache, "demo"))
		if err != nil {
			return err
		}
		defer held.Close()
		d.folder = folder
	}
	err := d.tell(ctx)
	if d.fleet != nil {
		d.fleet.Close()
	}
	if err == nil && len(d.failures) > 0 {
		err = fmt.Errorf("%d things did not hold", len(d.failures))
	}
	if err != nil {
		return fmt.Errorf("%w\nlogs and consoles are in %s", err, d.folder)
	}
	return os.RemoveAll(d.folder)
}

// tell tells the story and its figures, and with -keep waits before everything is taken down.
func (d *demo) tell(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx) // ends those who follow the machines before the machines end
	defer stop()
	if err := d.story(ctx); err != nil {
		return err
	}
	d.summary(os.Stdout)
	if d.keep {
		d.leaveRunning(ctx, os.Stdout)
	}
	return nil
}

// story is the main job, in order.
func (d *demo) story(ctx context.Context) error {
	chapters := []chapter{
		{"Four releases of the operating system", 4 * time.Minute, d.buildReleases},
		{"Three machines boot " + asReleased, 90 * time.Second, d.bootMachines},
		{"Release " + withFixes + " goes to alpha", 90 * time.Second, d.patchAlpha},
		{"Release " + withFixes + " is promoted to stable", 3 * time.Minute, d.patchStable},
		{"Release " + neverWell + " boots but never becomes healthy", 5 * time.Minute, func(ctx context.Context) error { return d.backOut(ctx, neverWell) }},
		{"Release " + neverBoots + " does not reach user space", 3 * time.Minute, func(ctx context.Context) error { return d.backOut(ctx, neverBoots) }},
		{"What the machines say themselves", 10 * time.Second, d.verify},
	}
	for i, c := range chapters {
		d.timeline.chapter("%s%s", c.title, d.toGo(chapters[i:]))
		if err := c.tell(ctx); err != nil {
			return err
		}
	}
	return nil
}

// chapter is a part of the story.
type chapter struct {
	title string
	usual time.Duration // on two cores under emulation; building the releases is quick when run again
	tell  func(context.Context) error
}

// toGo estimates what is left; with KVM the machines are several times faster, and nobody needs an estimate.
func (d *demo) toGo(chapters []chapter) string {
	if d.fleet != nil && d.fleet.Lab.Accel == lab.KVM {
		return ""
	}
	var sum time.Duration
	for _, c := range chapters {
		sum += c.usual
	}
	return fmt.Sprintf("  (about %.0f min to go)", max(sum.Minutes(), 1))
}

// hold records a fact that must hold, and says how it stands.
func (d *demo) hold(ok bool, format string, args ...any) {
	fact := fmt.Sprintf(format, args...)
	if ok {
		d.timeline.say("holds", "%s", fact)
		return
	}
	d.timeline.say("FAILS", "%s", fact)
	d.failures = append(d.failures, fact)
}

func (d *demo) leaveRunning(ctx context.Context, out io.Writer) {
	key := filepath.Join(d.folder, "id_ed25519")
	if err := d.fleet.Lab.Key.WriteFile(key); err != nil {
		fmt.Fprintln(out, err)
	}
	fmt.Fprintf(out, "\nEverything keeps running. Look around:\n")
	fmt.Fprintf(out, "  %s/conifer --server %s --token-file %s machine list\n", d.binaries, d.fleet.ServerURL(), d.fleet.TokenFile())
	for _, m := range d.fleet.Machines {
		fmt.Fprintf(out, "  ssh -i %s -p %d -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1    # %s\n", key, m.Port(22), m.Name)
	}
	fmt.Fprintf(out, "Logs, consoles and disks: %s\nCtrl-C ends it.\n", d.folder)
	<-ctx.Done()
}
