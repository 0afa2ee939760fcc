package agent

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/payload"
)

// clientName is what the agent calls itself to its peers.
const clientName = "conifer-agent-1"

// maxCodebases is how many folders that hold a release are tried; they are remembered during an update.
const maxCodebases = 8

// omahaService speaks Omaha with the service.
type omahaService struct {
	client *http.Client
	server string // base URL; empty when the machine is not to look for updates
	app    omaha.AppRequest
	arch   string
	// wariness is told in update checks, and in nothing else.
	wariness string
}

// newOmahaService fills in what is the same in every request. The id of the machine is the derived one.
func newOmahaService(client *http.Client, c Config, id Identity) *omahaService {
	return &omahaService{client: client, server: c.Server, arch: id.Arch, wariness: c.Wariness, app: omaha.AppRequest{
		ID: c.App, Track: c.Group, BootID: id.BootID, MachineID: id.MachineID, MachineAlias: c.Alias,
		Board: id.Arch + "-usr", DeltaOkay: "false",
	}}
}

// Check implements Service.
func (s *omahaService) Check(ctx context.Context, running string, how update.Check) (*update.Offer, time.Duration, error) {
	app := s.app
	app.Version = running
	app.Ping = &omaha.Ping{Active: "1"}
	app.UpdateCheck = &omaha.UpdateCheckRequest{}
	app.Wariness = s.wariness
	if how.Deltas {
		app.Payloads = strings.Join(payload.Features, " ")
	}
	source := omaha.Scheduled
	if how.Manual {
		source = omaha.OnDemand
	}
	answer, err := s.post(ctx, source, app)
	if err != nil {
		return nil, 0, err
	}
	check := answer.UpdateCheck
	if check == nil {
		return nil, 0, fault.New(fault.Invalid, "the update service did not answer the update check")
	}
	pause := time.Duration(check.PollInterval) * time.Second
	switch check.Status {
	case omaha.StatusNoUpdate:
		return nil, pause, nil
	case omaha.StatusOK:
		offer, err := check.Offer()
		if err != nil {
			return nil, 0, err
		}
		codebases := offer.Codebases[:min(len(offer.Codebases), maxCodebases)]
		return &update.Offer{Version: offer.Version, Codebases: codebases, Payload: offer.Payload.Name}, pause, nil
	}
	return nil, 0, fault.New(fault.Unavailable, "the update service answered the update check with %q", check.Status)
}

// Report implements Service: one request for the reports of each release that ran, because a request names only one.
func (s *omahaService) Report(ctx context.Context, reports []update.Report) error {
	for len(reports) > 0 {
		app := s.app
		app.Version = reports[0].Running
		n := 0
		for n < len(reports) && reports[n].Running == app.Version {
			app.Events = append(app.Events, eventOf(reports[n]))
			n++
		}
		if _, err := s.post(ctx, omaha.Scheduled, app); err != nil {
			return err
		}
		reports = reports[n:]
	}
	return nil
}

func eventOf(r update.Report) omaha.Event {
	e := omaha.Event{
		Type: omaha.EventType(r.Type), Result: omaha.EventResult(r.Result), ErrorCode: omaha.ErrorCode(r.Code), PreviousVersion: r.Previous,
	}
	if r.Delta {
		e.Payload = omaha.DeltaPayload
	}
	if r.Version != r.Running {
		e.NextVersion = r.Version
	}
	return e
}

// post sends one request and gives the answer for the application.
func (s *omahaService) post(ctx context.Context, source string, app omaha.AppRequest) (*omaha.AppResponse, error) {
	if s.server == "" {
		return nil, fault.New(fault.Invalid, "no update service is configured").WithHint("Set `server` in %s.", ConfigPath)
	}
	target, err := url.JoinPath(s.server, "v1/update/")
	if err != nil {
		return nil, fault.New(fault.Invalid, "server: %w", err)
	}
	req := omaha.NewRequest(clientName, source, app)
	req.OS = omaha.OS{Platform: "Conifer", SP: app.Version + "_" + s.arch, Arch: s.arch}
	body, err := req.Encode()
	if err != nil {
		return nil, err
	}
	status, text, err := exchange(ctx, s.client, http.MethodPost, target, map[string]string{"Content-Type": "text/xml"}, body, omaha.MaxResponseBytes)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fault.New(kindOfStatus(status), "the update service answered with status %d", status)
	}
	resp, err := omaha.ParseResponse(text)
	if err != nil {
		return nil, err
	}
	answer, err := resp.App(app.ID)
	if err != nil {
		return nil, err
	}
	if answer.Status != omaha.StatusOK {
		return nil, fault.New(fault.Unavailable, "the update service answered for %s with %q", app.ID, answer.Status)
	}
	return answer, nil
}
