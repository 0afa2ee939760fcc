package main

import (
	"os"
	"runtime/debug"
)

// The memory of a fleet is large and has next to no pointers, so that a collection costs as little for ten million machines as for
// none. Letting the heap double between two of them, as Go does, would give a gigabyte away; a quarter is enough.
const collectAt = 25 // percent

// A quarter of a small heap would be collected all the time. ballast counts as heap, and takes no memory because nobody
// ever writes to it: so there are at least collectAt percent of it between two collections.
const ballastBytes = 256 << 20

// tuneMemory sets the collector, unless the operator did by GOGC. The result is to be kept for as long as the service runs.
func tuneMemory() (ballast []byte) {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(collectAt)
	return make([]byte, ballastBytes)
}
