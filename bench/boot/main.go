// Command boot measures what a boot costs: CPU seconds of the QEMU process, and seconds on the wall, from
// reset to "agent ready", for the first boot of a disk and for later ones, with no application on the machine.
// Under emulation the CPU seconds tell what a boot costs whatever else the host does; run it with `make bench-boot`,
// which writes bench/boot.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

func main() {
	runs := flag.Int("runs", 5, "boots after the first")
	out := flag.String("out", "bench/boot.md", "report to write")
	flag.Parse()
	if err := run(context.Background(), *runs, *out); err != nil {
		fmt.Fprintf(os.Stderr, "boot: %v\n", err)
		os.Exit(1)
	}
}

// cost of one boot.
type cost struct{ cpu, wall time.Duration }

func run(ctx context.Context, runs int, out string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	factory := &fleet.Factory{Source: ".", Binaries: "bin", Cache: filepath.Join(cache, "conifer"), Talk: os.Stderr}
	if err := factory.MakeKeys(ctx); err != nil {
		return err
	}
	release, _, err := factory.Release(ctx, fleet.WithFixes)
	if err != nil {
		return err
	}
	tools, err := factory.Tools(ctx)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "conifer-bench-boot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	l, err := lab.Open(ctx, folder, tools)
	if err != nil {
		return err
	}
	costs, err := measure(ctx, l, release, runs)
	if err != nil {
		return err
	}
	return report(out, l.Accel, costs)
}

// measure boots a fresh disk, then the same disk again and again after a cut of the power.
func measure(ctx context.Context, l *lab.Lab, release string, runs int) ([]cost, error) {
	disks, err := filepath.Glob(filepath.Join(release, "*.disk.raw"))
	if err != nil || len(disks) != 1 {
		return nil, fmt.Errorf("find the disk image in %s: %d files match", release, len(disks))
	}
	m, err := l.NewMachine(ctx, "bench", lab.Spec{
		Disk: disks[0], DiskGiB: 4, MemoryMiB: 1024, Ports: []int{fleet.AgentPort},
		Credentials: []lab.Credential{{Name: "conifer.agent", Text: fmt.Sprintf("listen = \":%d\"\n", fleet.AgentPort)}},
	})
	if err != nil {
		return nil, err
	}
	defer m.Kill()
	var costs []cost
	for range runs + 1 {
		c, err := boot(ctx, m)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "boot %d: %.1f CPU s, %.1f s\n", len(costs), c.cpu.Seconds(), c.wall.Seconds())
		costs = append(costs, c)
	}
	return costs, nil
}

func boot(ctx context.Context, m *lab.Machine) (cost, error) {
	before, began := m.CPUTime(), time.Now()
	if err := m.Start(); err != nil {
		return cost{}, err
	}
	if err := ready(ctx, m); err != nil {
		return cost{}, err
	}
	return cost{m.CPUTime() - before, time.Since(began)}, m.Kill()
}

// ready asks the agent often, because the seconds until an answer is noticed count as cost.
func ready(ctx context.Context, m *lab.Machine) error {
	ctx, stop := context.WithTimeout(ctx, 5*time.Minute)
	defer stop()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", m.Port(fleet.AgentPort)))
		if err == nil {
			return answer.Body.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the agent does not answer; the console says:\n%s", m.Console())
}

func report(out string, accel lab.Accel, costs []cost) error {
	later := slices.SortedFunc(slices.Values(costs[1:]), func(a, b cost) int { return int(a.cpu - b.cpu) })
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintf(f, "# What a boot costs\n\nFrom reset to the agent's first answer, under %s, as `make bench-boot` measured it.\n\n", accel)
	fmt.Fprintf(f, "| boot | CPU seconds of QEMU | seconds |\n| --- | --- | --- |\n")
	row := func(name string, c cost) {
		fmt.Fprintf(f, "| %s | %.1f | %.1f |\n", name, c.cpu.Seconds(), c.wall.Seconds())
	}
	row("the first of a disk (makes /var, machine ID)", costs[0])
	row(fmt.Sprintf("later, median of %d", len(later)), later[len(later)/2])
	row("later, lowest", later[0])
	row("later, highest", later[len(later)-1])
	return f.Close()
}
