package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// cost is what the guest says of its agent's process and control group, since the agent started.
type cost struct {
	CPU        time.Duration
	PeakMemory int64 // of the group, with the pages of files that it brought into memory
	PeakRSS    int64 // VmHWM of the process
	ReadBytes  int64 // of the disk, by the group
	Reads      int64
	OldBytes   int64 // read of the partition of the running root, by everybody
	OldReads   int64
	Payload    string // the last that was transferred
	Downloaded int64
}

// costScript prints lines of a name and its values. Shell and sed are what the image has.
const costScript = `cd /sys/fs/cgroup/system.slice/conifer-agent.service
sed -n 's/^usage_usec/cpu/p' cpu.stat
echo peak $(cat memory.peak)
sed -n "s/^$(cat /sys/class/block/vda/dev) /io /p" io.stat
sed -n 's/^VmHWM:/rss/p' /proc/$(systemctl show --value --property=MainPID conifer-agent)/status
for part in /sys/class/block/vda?*; do
  grep -q "^PARTNAME=conifer_1.0.0$" $part/uevent && echo old $(cat $part/stat) && break # the next is its hash tree
done
journalctl --quiet --output=cat --unit=conifer-agent --grep='payload transferred' | tail -n 1`

// cost asks the machine.
func (w *world) cost(ctx context.Context) (cost, error) {
	out, err := w.machine.Run(ctx, costScript)
	if err != nil && out == "" {
		return cost{}, err
	}
	return parseCost(out)
}

func parseCost(text string) (c cost, err error) {
	seen := 0
	number := func(s string) int64 {
		n, parseErr := strconv.ParseInt(s, 10, 64)
		if parseErr != nil {
			err = fmt.Errorf("what the agent cost: %w", parseErr)
		}
		return n
	}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		seen++
		switch f[0] {
		case "cpu":
			c.CPU = time.Duration(number(f[1])) * time.Microsecond
		case "peak":
			c.PeakMemory = number(f[1])
		case "rss":
			c.PeakRSS = number(f[1]) << 10
		case "io":
			c.ReadBytes, c.Reads = number(field(f, "rbytes")), number(field(f, "rios"))
		case "old": // Documentation/block/stat.rst: reads, merged, sectors of 512 bytes
			c.OldReads, c.OldBytes = number(f[1]), number(f[3])*512
		default:
			seen--
			if payload := field(f, "payload"); payload != "" {
				c.Payload, c.Downloaded = payload, number(field(f, "downloaded_bytes"))
			}
		}
	}
	if seen != 5 && err == nil {
		err = fmt.Errorf("what the agent cost: %q has %d of 5 lines", text, seen)
	}
	return c, err
}

// field finds the value of a name in fields of the form name=value.
func field(fields []string, name string) string {
	for _, f := range fields {
		if value, ok := strings.CutPrefix(f, name+"="); ok {
			return value
		}
	}
	return ""
}

// since is what was spent after before. Peaks and the payload stay as they are.
func (c cost) since(before cost) cost {
	c.CPU -= before.CPU
	c.ReadBytes -= before.ReadBytes
	c.Reads -= before.Reads
	c.OldBytes -= before.OldBytes
	c.OldReads -= before.OldReads
	return c
}
