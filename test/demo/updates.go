package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// bootMachines starts the service, the cluster program and three machines that run 1.0.0.
func (d *demo) bootMachines(ctx context.Context) error {
	tools, err := d.factory.Tools(ctx)
	if err != nil {
		return err
	}
	d.fleet, err = fleet.Open(ctx, fleet.Options{
		Folder: d.folder, Binaries: d.binaries, Tools: tools, Keys: d.factory.Keys(), Commands: d.timeline,
	})
	if err != nil {
		return err
	}
	d.timeline.say("service", "conifer-server on SQLite, conifer-cluster on its embedded etcd; guests run under %s", d.fleet.Lab.Accel)
	if err := d.fleet.Publish(ctx, d.releases[asReleased]); err != nil {
		return err
	}
	for _, channel := range []string{"alpha", "stable"} {
		if err := d.fleet.Promote(ctx, channel, asReleased); err != nil {
			return err
		}
	}
	for i, group := range []string{"alpha", "stable", "stable"} {
		m, err := d.fleet.NewMachine(ctx, fleet.MachineSpec{
			Name: fmt.Sprintf("machine-%d", i+1), Group: group, Image: d.releases[asReleased],
		})
		if err != nil {
			return err
		}
		go follow(ctx, d.timeline, m)
	}
	for _, m := range d.fleet.Machines {
		if err := m.Runs(ctx, asReleased, bootLimit); err != nil {
			return err
		}
		d.timeline.say(m.Name, "is up, its application answers, after %.0f CPU seconds", m.CPUTime().Seconds())
	}
	d.started = time.Now()
	return nil
}

// patchAlpha publishes the fixes to the machine that goes first.
func (d *demo) patchAlpha(ctx context.Context) error {
	d.published = time.Now()
	if err := d.fleet.Publish(ctx, d.releases[withFixes]); err != nil {
		return err
	}
	if err := d.fleet.Promote(ctx, "alpha", withFixes); err != nil {
		return err
	}
	if err := d.fleet.Machines[0].Runs(ctx, withFixes, updateLimit); err != nil {
		return err
	}
	for _, m := range d.fleet.Machines[1:] {
		s, err := m.Peek(ctx)
		d.hold(err == nil && s.Running.Version == asReleased, "%s (group %s) still runs %s while alpha tries %s", m.Name, m.Group, asReleased, withFixes)
	}
	return nil
}

// patchStable lets the other machines follow.
func (d *demo) patchStable(ctx context.Context) error {
	began := time.Now()
	if err := d.fleet.Promote(ctx, "stable", withFixes); err != nil {
		return err
	}
	for _, m := range d.fleet.Machines[1:] {
		if err := m.Runs(ctx, withFixes, updateLimit); err != nil {
			return err
		}
	}
	d.patched = time.Now()
	a, b := d.fleet.Machines[1].Agent.Outages(began), d.fleet.Machines[2].Agent.Outages(began)
	d.hold(len(a) > 0 && len(b) > 0, "both stable machines were seen to reboot")
	d.hold(!overlap(a, b), "never more than one machine was down at a time")
	return nil
}

// backOut publishes a broken release to alpha and watches the machine leave it.
func (d *demo) backOut(ctx context.Context, version string) error {
	first, others := d.fleet.Machines[0], d.fleet.Machines[1:]
	before, err := first.Inspect(ctx)
	if err != nil {
		return err
	}
	if err := d.fleet.Publish(ctx, d.releases[version]); err != nil {
		return err
	}
	if err := d.fleet.Promote(ctx, "alpha", version); err != nil {
		return err
	}
	if err := d.rolledBack(ctx, version); err != nil {
		return err
	}
	if err := first.Runs(ctx, withFixes, updateLimit); err != nil {
		return err
	}
	after, err := first.Inspect(ctx)
	if err != nil {
		return err
	}
	d.hold(after.OSVersion == withFixes && after.Slot() == before.Slot(), "%s runs %s from slot %s again", first.Name, withFixes, after.Slot())
	d.hold(after.BootID != before.BootID, "%s did reboot into %s and back", first.Name, version)
	d.hold(!strings.Contains(after.Entries, version), "no boot entry of %s is left on %s", version, first.Name)
	return d.offeredToNobody(ctx, version, others)
}

// offeredToNobody points stable at the halted release too, asks for every machine, and takes it back.
func (d *demo) offeredToNobody(ctx context.Context, version string, others []*fleet.Machine) error {
	if err := d.fleet.Promote(ctx, "stable", version); err != nil {
		return err
	}
	for _, m := range d.fleet.Machines {
		if _, err := m.Run(ctx, "conifer-agent check"); err != nil {
			return err
		}
	}
	time.Sleep(3 * time.Second) // let each agent ask and be answered
	for _, m := range d.fleet.Machines {
		s, err := m.Peek(ctx)
		d.hold(err == nil && s.Phase == "idle" && s.Running.Version == withFixes, "%s asks and is not offered %s", m.Name, version)
	}
	for _, channel := range []string{"stable", "alpha"} {
		if err := d.fleet.Promote(ctx, channel, withFixes); err != nil {
			return err
		}
	}
	return nil
}
