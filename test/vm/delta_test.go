//go:build vm

package vm

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"conifer.dev/conifer/test/fleet"
)

// downloaded is what the agent's journal says of a transfer.
var downloaded = regexp.MustCompile(`version=1\.1\.0 payload=from-1\.0\.0\.payload downloaded_bytes=(\d+) resident_bytes=(\d+)`)

// deltaLimit bounds an update by a delta whose kernel changed: the 20 to 30 CPU seconds that it takes are minutes of an emulated processor that has
// a core to itself.
const deltaLimit = 35 * time.Minute

// TestUpdateByDelta takes a machine from one release to the next with a delta: kernel, root and verity tree come out as they were
// signed, or it would not boot.
func TestUpdateByDelta(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publishes(w.PublishWithDelta, fleet.WithFixes)
	w.runs(fleet.WithFixes.Version, deltaLimit)
	if facts := w.inspect(); facts.Slot() != "B" || facts.Running.RootHash != facts.KernelHash || facts.Newest != fleet.WithFixes.Version {
		t.Fatalf("after the update the machine says %+v", facts)
	}
	journal, err := w.machine.Run(t.Context(), "journalctl -u conifer-agent --no-pager | grep 'payload transferred'")
	if err != nil {
		t.Fatal(err)
	}
	found := downloaded.FindStringSubmatch(journal)
	if found == nil {
		t.Fatalf("the update did not come by a delta: %s", journal)
	}
	const most = 16 << 20 // the full payload has six times as much
	if n, err := strconv.Atoi(found[1]); err != nil || n > most {
		t.Errorf("%s bytes were downloaded, to be %d at most (%v)", found[1], most, err)
	}
	const mostMemory = 64 << 20 // of all of the agent, its program included
	if n, err := strconv.Atoi(found[2]); err != nil || n > mostMemory {
		t.Errorf("the agent had %s bytes of memory, to be %d at most (%v)", found[2], mostMemory, err)
	}
	t.Logf("%s bytes were downloaded, with %s of memory", found[1], found[2])
}
