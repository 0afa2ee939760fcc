package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/factory/pack"
)

func TestParseCost(t *testing.T) {
	const said = `cpu 397107209
peak 536870912
io rbytes=294929408 wbytes=277018112 rios=6284 wios=700 dbytes=0 dios=0
rss	   92248 kB
old 2028 3 228616 2389 0 0 0 0 0 2300 2389 0 0 0 0 0 0
level=INFO msg="payload transferred" version=1.1.0 payload=from-1.0.0.payload downloaded_bytes=4278641
`
	want := cost{
		CPU: 397107209 * time.Microsecond, PeakMemory: 512 << 20, PeakRSS: 92248 << 10, ReadBytes: 294929408, Reads: 6284,
		OldReads: 2028, OldBytes: 228616 * 512, Payload: "from-1.0.0.payload", Downloaded: 4278641,
	}
	got, err := parseCost(said)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("what it costs is (want, got) %s, %v", diff, err)
	}
	if _, err := parseCost("cpu 1\npeak 2\n"); err == nil {
		t.Error("lines that are missing are not noticed")
	}
	if _, err := parseCost("cpu much\npeak 1\nio rbytes=1 rios=1\nrss 1 kB\nold 1 1 1\n"); err == nil {
		t.Error("a number that is none is not noticed")
	}
}

func TestLatenciesGoByWhenAnAnswerWasDue(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	a := &asker{}
	for s := range 40 {
		a.answers = append(a.answers, answer{due: at(s), late: time.Duration(s) * time.Second})
	}
	got := a.latencies([]phase{{Name: "a", From: at(0), To: at(10)}, {Name: "b", From: at(10), To: at(20)}, {Name: "a", From: at(30), To: at(40)}})
	want := []latency{
		{Name: "a", Asked: 20, P50: 9 * time.Second, P95: 38 * time.Second, P99: 39 * time.Second, Max: 39 * time.Second},
		{Name: "b", Asked: 10, P50: 14 * time.Second, P95: 19 * time.Second, P99: 19 * time.Second, Max: 19 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("latencies (want, got): %s", diff)
	}
}

func TestSharesOfTheImage(t *testing.T) {
	files := []pack.FileCost{
		{Target: "root", Path: "usr/lib/modules/6.12/kernel/fs/ceph/ceph.ko", SizeBytes: 10, DataSizeBytes: 4},
		{Target: "root", Path: "usr/lib/modules/6.12/kernel/drivers/block/rbd.ko", SizeBytes: 20, DataSizeBytes: 5},
		{Target: "root", Path: "usr/lib/modules/6.12/kernel/drivers/block/nbd.ko", SizeBytes: 30, DataSizeBytes: 6},
		{Target: "root", Path: "usr/bin/ssh-add", SizeBytes: 40, DataSizeBytes: 7},
		{Target: "uki", SizeBytes: 50, DataSizeBytes: 8},
	}
	want := []share{{"usr/lib/modules", 3, 60, 15}, {ukiName, 1, 50, 8}, {"usr/bin", 1, 40, 7}}
	if diff := cmp.Diff(want, shares(files, folderOf)); diff != "" {
		t.Errorf("folders (want, got): %s", diff)
	}
	for _, c := range candidates {
		for _, f := range files[:4] {
			if got, want := c.has(f.Path), c.name == "Ceph modules" && f.DataSizeBytes < 6 || c.name == "helpers of the SSH client" && f.DataSizeBytes == 7; got != want {
				t.Errorf("%s has %s: %t, want %t", c.name, f.Path, got, want)
			}
		}
	}
}

// measured is a run in which everything was as it should be, but for the memory and the latency of one update.
func measured() results {
	update := phase{Name: delta, From: time.Unix(0, 0), To: time.Unix(100, 0), Root: 60 * time.Second, Drive: transfers{Reads: 3000, ReadBytes: 300 << 20}}
	update.Cost = cost{PeakRSS: 65 << 20, OldReads: 2000, OldBytes: 254 << 20, Payload: "from-1.0.0.payload"}
	return results{
		Accel: "tcg", Rate: 10, OldRootBytes: 254 << 20,
		Image: image{BestBytes: 90_000_000, Candidates: make([]share, len(candidates))},
		Drives: []onDrive{
			{Phases: []phase{update}, Latencies: []latency{{Name: quiet, Asked: 100, P95: 10 * time.Millisecond}, {Name: delta, Asked: 1000, P95: 30 * time.Millisecond}}},
			{Drive: drive{"slow", 10_000_000, 100}, Phases: []phase{{Name: full, From: time.Unix(0, 0), To: time.Unix(10, 0)}}},
		},
	}
}

func TestReportSaysWhatFellShort(t *testing.T) {
	out := filepath.Join(t.TempDir(), "update.md")
	if err := measured().write(out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "## What fell short\n\n")
	got, _, _ := strings.Cut(after, "\n\n##")
	want := "- , update by a delta: p95 of the application is 3.0 times that of nothing else, to be 2 at most.\n- , update by a delta: the agent had 65 MiB resident, to be 64 MiB at most."
	if got != want {
		t.Errorf("what fell short is %q, want %q", got, want)
	}
	var picture struct{}
	svg, err := os.ReadFile(strings.TrimSuffix(out, ".md") + ".svg")
	if err != nil || xml.Unmarshal(svg, &picture) != nil {
		t.Errorf("the picture is no XML: %v", err)
	}
}

// A thousand answers were read by the application, of 3,000 reads in all.
func TestTransfersOfTheUpdateAlone(t *testing.T) {
	p := measured().Drives[0].Phases[0]
	if got := p.ownTransfers(10); got.Reads != 2000 || got.ReadBytes != 300<<20-1000*answerBytes {
		t.Errorf("own transfers are %+v", got)
	}
	if got := (drive{"", 10_000_000, 100}).atLimit(50_000_000, 1000); got != "10.0 s" {
		t.Errorf("at its limit the drive takes %s, want 10 s for the operations", got)
	}
}
