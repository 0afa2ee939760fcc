package agent

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// install writes the target, by its delta if it has one.
func (a *Agent) install(ctx context.Context, target update.Target) update.Event {
	signed, err := a.signedTarget(ctx, target)
	if err != nil {
		return update.InstallFailed{Fault: update.FaultOf(err)}
	}
	delta := signed.Delta
	if target.Delta == "" {
		delta = nil
	}
	if err := a.transfer(ctx, target, signed.Release, delta); err != nil {
		return update.InstallFailed{Fault: update.FaultOf(err), Delta: delta != nil}
	}
	if delta != nil {
		a.count.savedBytes.Add(signed.Release.Payload.SizeBytes - delta.SizeBytes)
	}
	return update.InstallDone{}
}

// signedTarget gives the target's description. After a restart it is verified again: only its name and root hash were saved.
func (a *Agent) signedTarget(ctx context.Context, target update.Target) (Signed, error) {
	if signed, ok := a.verified.of(target); ok {
		return signed, nil
	}
	offer := update.Offer{Version: target.Version, Codebases: target.Codebases(), Payload: target.Delta}
	signed, err := a.signed(ctx, offer, a.snapshot().Newest)
	if err != nil {
		return Signed{}, err
	}
	if got := signed.Release.Root.Hash; got != target.RootHash {
		return Signed{}, fault.New(fault.Conflict, "release %s has root hash %s, but %s was chosen", target.Version, got, target.RootHash)
	}
	return signed, nil
}

// mostResidentBytes is the most memory that the process has had, as getrusage(2) says it.
func mostResidentBytes() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Maxrss << 10
}

// transfer fetches and writes the payload, which is the full one when there is no delta. Bytes that are not the signed ones may be
// the fault of where they came from, so every place has a turn at giving the first of them.
func (a *Agent) transfer(ctx context.Context, target update.Target, rel *release.Release, delta *release.Delta) error {
	p := &rel.Payload
	if delta != nil {
		p = &delta.Payload
	}
	a.meter.begin(rel, delta)
	defer func() {
		a.meter.end()
		a.Log.Info("payload transferred", "version", rel.Version, "payload", p.Name, "downloaded_bytes", a.meter.downloaded.Load(), "resident_bytes", mostResidentBytes())
	}()
	if a.Spare != nil {
		if err := a.Spare(); err != nil {
			a.Log.Warn("the program stays in memory", "error", err)
		}
	}
	var err error
	codebases := target.Codebases()
	for i := range codebases {
		order := slices.Concat(codebases[i:], codebases[:i])
		src := a.meter.source(a.limit.source(a.Repository.Payload(order, p)))
		if err = a.Disk.Install(ctx, rel, delta, src, a.progress()); !fault.Is(err, fault.Corrupt) {
			return err
		}
	}
	return err
}
