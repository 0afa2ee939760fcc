package main

import (
	"fmt"
	"time"
)

// answerBytes is what the application reads of the disk for an answer.
const answerBytes = 16 << 10

// String is the drive's name in a table.
func (d drive) String() string { return d.Name }

func (d drive) limited() bool { return d.BytesPerSecond > 0 || d.OperationsPerSecond > 0 }

// atLimit is how many seconds the drive needs for so much at least.
func (d drive) atLimit(bytes, operations int64) string {
	if !d.limited() {
		return ""
	}
	seconds := 0.0
	if d.BytesPerSecond > 0 {
		seconds = float64(bytes) / float64(d.BytesPerSecond)
	}
	if d.OperationsPerSecond > 0 {
		seconds = max(seconds, float64(operations)/float64(d.OperationsPerSecond))
	}
	return fmt.Sprintf("%.1f s", seconds)
}

func (d onDrive) latency(name string) latency {
	for _, l := range d.Latencies {
		if l.Name == name {
			return l
		}
	}
	return latency{}
}

// elsewhere is how many CPUs of the host were busy with something else in the phases of a name.
func (d onDrive) elsewhere(name string) float64 {
	var busy, took float64
	for _, p := range d.Phases {
		if p.Name == name {
			busy, took = busy+p.Elsewhere.Seconds(), took+p.seconds()
		}
	}
	return busy / max(took, 1e-9)
}

func (d onDrive) updates() (all []phase) {
	for _, p := range d.Phases {
		if p.Name == delta || p.Name == full {
			all = append(all, p)
		}
	}
	return all
}

// ownTransfers are those of the drive without what the application read.
func (p phase) ownTransfers(rate float64) transfers {
	t := p.Drive
	asked := int64(rate * p.seconds())
	t.Reads -= asked
	t.ReadBytes -= asked * answerBytes
	return t
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }

func mb(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }

// times is how many times as large one duration is as another.
func times(a, b time.Duration) string {
	if b <= 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", float64(a)/float64(b))
}

// mean size of an operation in KiB.
func mean(bytes, operations int64) string {
	if operations <= 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(bytes)/float64(operations)/1024)
}
