package agent

import (
	"context"
	"net/http"

	"conifer.dev/conifer/internal/wire/fleetlock"
)

// fleetLock is the reboot lock of a cluster behind FleetLock.
type fleetLock struct {
	client *http.Client
	base   string
	params fleetlock.Params
}

// Acquire implements Lock.
func (l *fleetLock) Acquire(ctx context.Context) error { return l.call(ctx, fleetlock.PreReboot) }

// Release implements Lock.
func (l *fleetLock) Release(ctx context.Context) error { return l.call(ctx, fleetlock.SteadyState) }

func (l *fleetLock) call(ctx context.Context, endpoint string) error {
	call, err := fleetlock.NewCall(l.base, endpoint, l.params)
	if err != nil {
		return err
	}
	status, body, err := exchange(ctx, l.client, http.MethodPost, call.URL, call.Header, call.Body, fleetlock.MaxBytes)
	if err != nil {
		return err
	}
	return fleetlock.ParseReply(status, body)
}
