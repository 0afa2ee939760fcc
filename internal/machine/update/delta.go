package update

import (
	"fmt"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// A delta saves bytes and nothing depends on it: one that fails is not tried again for that version on this machine. The full
// payload takes its place at once, and as the service is no longer told that a delta is welcome, in the next attempts too.

const (
	// maxNoDelta bounds how many versions are remembered; the oldest make room.
	maxNoDelta = 8
	// maxBegun is how many processes may find the same delta under way. Power that fails often enough is not to be told apart
	// from a delta that ends the process which applies it.
	maxBegun = 5
)

// takesDeltas reports whether the service is told that a delta is welcome. It is not, while a version may be offered to which one
// has failed here: which one will be offered is not known before.
func (s State) takesDeltas() bool {
	return !slices.ContainsFunc(s.NoDelta, func(version string) bool {
		return release.Compare(version, s.Live.Running.Version) > 0 && s.Failed[version].Why == ""
	})
}

// inFull is the offer without its delta, if one to this version has failed here: a service may offer it all the same.
func (s State) inFull(o Offer) Offer {
	if slices.Contains(s.NoDelta, o.Version) {
		o.Payload = ""
	}
	return o
}

// blamesDelta reports whether the full payload may succeed where a delta has failed. The network, the space on the disk and
// the state of the machine are the same for both.
func blamesDelta(k fault.Kind) bool {
	return !transient(k) && k != fault.Exhausted && k != fault.Conflict
}

// noDelta goes on with the full payload. What is reported is no verdict on the release: a delta was given up, and why.
func (t *turn) noDelta(f Fault) {
	version := t.s.Target.Version
	t.s.Target.Delta, t.s.Begun = "", 0
	t.s.Live.Job = Task{}
	if !slices.Contains(t.s.NoDelta, version) {
		t.s.NoDelta = append(t.s.NoDelta, version)
		slices.SortFunc(t.s.NoDelta, release.Compare)
	}
	if extra := len(t.s.NoDelta) - maxNoDelta; extra > 0 {
		t.s.NoDelta = slices.Delete(t.s.NoDelta, 0, extra)
	}
	t.problem(version, f.Kind, "delta failed, the full payload is taken: "+f.Why)
	t.report(Report{Type: eventDownload, Result: resultCanceled, Code: f.Kind.OmahaCode(), Version: version})
}

// begun counts the processes that go on with a delta.
func (t *turn) begun() {
	if t.s.Target.Delta == "" {
		return
	}
	if t.s.Begun++; t.s.Begun >= maxBegun {
		t.noDelta(Fault{fault.Internal, fmt.Sprintf("it was taken up %d times and did not come to an end", t.s.Begun)})
	}
}
