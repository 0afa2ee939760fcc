package api

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// update answers one Omaha request.
func (s *Server) update(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	request, err := omaha.ParseRequest(body)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	response := omaha.NewResponse("conifer", now.Hour()*3600+now.Minute()*60+now.Second())
	for i := range request.Apps {
		answer, err := s.answer(r, request, &request.Apps[i])
		if err != nil {
			return err
		}
		response.Apps = append(response.Apps, answer)
	}
	text, err := response.Encode()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = w.Write(text) // nobody is left to be told of an error
	return nil
}

func (s *Server) answer(r *http.Request, request *omaha.Request, app *omaha.AppRequest) (omaha.AppResponse, error) {
	told, err := s.Fleet.Contact(r.Context(), fleet.Contact{
		App: app.ID, Machine: app.MachineID, Alias: app.MachineAlias, Group: app.Track, Version: app.Version,
		Arch: request.Arch(app), BootID: app.BootID, Address: address(r), Check: app.UpdateCheck != nil, Events: app.Events,
	})
	if err != nil {
		return omaha.AppResponse{}, err
	}
	if !told.Known {
		return omaha.AppResponse{ID: app.ID, Status: omaha.StatusUnknownApp}, nil
	}
	answer := omaha.AppResponse{ID: app.ID, Status: omaha.StatusOK}
	if app.Ping != nil {
		answer.Ping = &omaha.Ack{Status: omaha.StatusOK}
	}
	for range app.Events {
		answer.Events = append(answer.Events, omaha.Ack{Status: omaha.StatusOK})
	}
	if app.UpdateCheck != nil {
		answer.UpdateCheck, err = s.updateCheck(r, told.Release)
	}
	return answer, err
}

// updateCheck writes a release as an offer, or none.
func (s *Server) updateCheck(r *http.Request, release *store.Release) (*omaha.UpdateCheck, error) {
	if release == nil {
		return omaha.NoUpdate(0), nil
	}
	offer := omaha.Offer{
		Version: release.Version, Codebases: []string{s.codebase(r, release.URL)},
		Payload: omaha.File{Name: release.File, SizeBytes: release.SizeBytes, SHA256: release.SHA256},
	}
	for _, file := range release.Extra {
		offer.Extra = append(offer.Extra, omaha.File{Name: file.Name, SizeBytes: file.SizeBytes, SHA256: file.SHA256})
	}
	return offer.UpdateCheck()
}

// codebase is the URL of a release's folder, on the address by which this machine reached the service unless another
// is configured or the release is elsewhere.
func (s *Server) codebase(r *http.Request, url string) string {
	if strings.Contains(url, "://") {
		return url
	}
	base := strings.TrimSuffix(s.ExternalURL, "/")
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	return base + "/v1/files/" + url
}

// address is where a request came from, without the port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
