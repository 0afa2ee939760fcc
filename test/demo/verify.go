package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/test/lab"
)

// rolledBack waits until the service has heard of the rollback and halted the release.
func (d *demo) rolledBack(ctx context.Context, version string) error {
	return lab.Await(ctx, version+" to be rolled back and halted", updateLimit, func(ctx context.Context) (bool, string) {
		halted, reason, err := d.fleet.Halted(ctx, version)
		if err != nil {
			return false, err.Error()
		}
		if halted {
			d.timeline.say("service", "%s is halted: %s", version, reason)
		}
		return halted, "not halted"
	})
}

// verify asks every machine itself, and compares with what the factory signed.
func (d *demo) verify(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(d.releases[withFixes], release.FileName))
	if err != nil {
		return err
	}
	want, err := release.Parse(text)
	if err != nil {
		return err
	}
	for _, m := range d.fleet.Machines {
		facts, err := m.Inspect(ctx)
		if err != nil {
			return err
		}
		d.hold(facts.OSVersion == withFixes, "%s: the mounted root is %s", m.Name, facts.OSVersion)
		d.hold(facts.Slot() == "B", "%s: it runs from slot %s", m.Name, facts.Slot())
		d.hold(facts.Running.RootHash == want.Root.Hash && facts.KernelHash == want.Root.Hash,
			"%s: dm-verity's root hash is the signed one, %.16s…", m.Name, facts.Running.RootHash)
		d.hold(facts.Phase == "idle" && facts.Newest == withFixes, "%s: %s is committed, nothing is under way", m.Name, facts.Newest)
		d.hold(facts.Downloaded > 0, "%s: it downloaded %s", m.Name, cli.Bytes(facts.Downloaded))
		d.downloaded[m.Name] = facts.Downloaded
		d.hold(m.Web.Answers(), "%s: its application answers", m.Name)
	}
	out, err := d.fleet.Machines[0].Run(ctx, "podman ps --format '{{.Names}} {{.Status}}'")
	if err != nil {
		return err
	}
	d.timeline.say("machine-1", "podman says: %s", strings.TrimSpace(out))
	d.transferred, err = d.fleet.Transferred(ctx)
	return err
}

// overlap reports whether two machines were down at the same moment.
func overlap(a, b []lab.Outage) bool {
	for _, x := range a {
		for _, y := range b {
			if x.From.Before(y.To) && y.From.Before(x.To) {
				return true
			}
		}
	}
	return false
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
