package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/edge"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// usualBytes is more than update_engine ever sends, with all its events.
const usualBytes = 8 << 10

// exchange is what one request and its answer are held in. It is used again and again, because there are so many.
type exchange struct {
	body   [usualBytes + 1]byte // the one byte tells that there is more
	answer []byte
	apps   []omaha.AppResponse
}

var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// Parts of answers that are always the same, made once.
var (
	xmlType  = []string{"text/xml; charset=utf-8"}
	jsonType = []string{"application/json"}
	taken    = omaha.Ack{Status: omaha.StatusOK}
	nothing  = omaha.NoUpdate(0)
)

// update answers one Omaha request.
func (s *Server) update(w http.ResponseWriter, r *http.Request) error {
	began := time.Now()
	x := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	left := edge.Left(r.Context())
	body, err := s.body(r, x.body[:])
	switch {
	case err == errLarge:
		return s.turnAway(w, busyLarge)
	case err != nil:
		return err
	case left <= 0: // the body was read all the same, because an answer does not get past one that was not
		return s.turnAway(w, busyProcessors)
	}
	until := time.Now().Add(left) // whoever sends slowly loses nothing by it
	request, err := omaha.ParseRequest(body)
	if err != nil {
		return err
	}
	// A place is taken only now, so that a peer who sends slowly holds none.
	gate, busy := s.updates, busyRequests
	if reports(request) {
		gate, busy = s.reports, busyReports
		if !checks(request) {
			soon, over := context.WithDeadline(r.Context(), until)
			defer over()
			r = r.WithContext(soon)
		}
	}
	if !gate.Enter() {
		return s.turnAway(w, busy)
	}
	defer gate.Leave()
	switch err := s.answerAll(r, request, began, x); {
	case errors.Is(err, context.DeadlineExceeded), err == nil && time.Now().After(until):
		return s.turnAway(w, busy) // what was reported is kept, and so is a place; only the answer is too late
	case err != nil:
		return err
	}
	h := w.Header()
	h["Content-Type"] = xmlType
	h["Content-Length"] = []string{strconv.Itoa(len(x.answer))}
	_, _ = w.Write(x.answer) // nobody is left to be told of an error
	s.counts.seconds.Observe(time.Since(began).Seconds())
	return nil
}

// reports tells whether there is something in the request that has to be on the disk before it is answered. When the disk is slow, all
// places of such requests are taken, and polls are still answered from memory.
func reports(request *omaha.Request) bool {
	for i := range request.Apps {
		if slices.ContainsFunc(request.Apps[i].Events, rollout.Tells) {
			return true
		}
	}
	return false
}

// checks tells whether a release may have to be offered, and a place be taken for that. Nobody turns away from that half-way.
func checks(request *omaha.Request) bool {
	return slices.ContainsFunc(request.Apps, func(app omaha.AppRequest) bool { return app.UpdateCheck != nil })
}

// turnAway answers a request that there is no room for, as cheaply as can be. Clients back off on it.
func (s *Server) turnAway(w http.ResponseWriter, busy string) error {
	s.counts.shed[busy].Inc()
	s.refusals.Do(func() { s.Log.Warn("requests of machines are turned away", "busy", busy) })
	h := w.Header()
	h["Content-Type"], h["Retry-After"] = jsonType, []string{edge.ComeAgain()}
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, edge.TooMuch)
	return nil
}

// body reads the body into the buffer. A larger one has to be of a size that no machine sends, and there may be few of them at
// once, because a crowd would take the memory.
func (s *Server) body(r *http.Request, buffer []byte) ([]byte, error) {
	if r.ContentLength > omaha.MaxRequestBytes {
		return nil, tooLarge()
	}
	n, err := io.ReadFull(r.Body, buffer)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && (r.ContentLength < 0 || int64(n) == r.ContentLength), err == io.EOF:
		return buffer[:n], nil
	case err != nil:
		return nil, fault.New(fault.Canceled, "read the body: %w", err)
	}
	if !s.large.Enter() {
		return nil, errLarge
	}
	defer s.large.Leave()
	rest, err := io.ReadAll(io.LimitReader(r.Body, omaha.MaxRequestBytes+1-int64(n)))
	switch {
	case err != nil:
		return nil, fault.New(fault.Canceled, "read the body: %w", err)
	case n+len(rest) > omaha.MaxRequestBytes:
		return nil, tooLarge()
	}
	return append(buffer[:n:n], rest...), nil
}

// errLarge says that there are too many large requests.
var errLarge = errors.New("too many large requests")

func tooLarge() error {
	return fault.New(fault.Invalid, "the body has more than %d bytes", omaha.MaxRequestBytes)
}

// answerAll writes the answer for every application of the request.
func (s *Server) answerAll(r *http.Request, request *omaha.Request, now time.Time, x *exchange) error {
	hour, minute, second := now.UTC().Clock()
	response := omaha.Response{Protocol: omaha.Protocol, Server: "conifer", Apps: x.apps[:0]}
	response.DayStart.ElapsedSeconds = hour*3600 + minute*60 + second
	from := s.Proxies.Client(r)
	for i := range request.Apps {
		answer, err := s.answer(r, request, &request.Apps[i], from)
		if err != nil {
			return err
		}
		response.Apps = append(response.Apps, answer)
	}
	x.apps, x.answer = response.Apps, response.AppendTo(x.answer[:0])
	return nil
}

func (s *Server) answer(r *http.Request, request *omaha.Request, app *omaha.AppRequest, from netip.Addr) (omaha.AppResponse, error) {
	told, err := s.Fleet.Contact(r.Context(), fleet.Contact{
		App: app.ID, Machine: app.MachineID, Alias: app.MachineAlias, Group: app.Track, Version: app.Version,
		Arch: request.Arch(app), Wariness: app.Wariness, Payloads: app.Payloads, Manual: request.Manual(),
		Address: from, Check: app.UpdateCheck != nil, Events: app.Events,
	})
	if err != nil {
		return omaha.AppResponse{}, err
	}
	if !told.Known {
		return omaha.UnknownApplication(app), nil
	}
	answer := omaha.AppResponse{ID: app.ID, Status: omaha.StatusOK}
	if app.Ping != nil {
		answer.Ping = &taken
	}
	for range app.Events {
		answer.Events = append(answer.Events, taken)
	}
	if app.UpdateCheck != nil {
		answer.UpdateCheck, err = s.updateCheck(r, told)
	}
	return answer, err
}

// updateCheck writes a release as an offer, or none.
func (s *Server) updateCheck(r *http.Request, told fleet.Answer) (*omaha.UpdateCheck, error) {
	release := told.Release
	switch {
	case release == nil && told.PollSeconds == 0:
		return nothing, nil
	case release == nil:
		return omaha.NoUpdate(told.PollSeconds), nil
	}
	offer := omaha.Offer{
		Version: release.Version, Codebases: []string{s.codebase(r, release.URL)},
		Payload: omaha.File{Name: release.File, SizeBytes: release.SizeBytes, SHA256: release.SHA256},
	}
	if told.Delta != nil {
		offer.Payload = offered(told.Delta.File)
	}
	for _, file := range release.Extra {
		offer.Extra = append(offer.Extra, offered(file))
	}
	return offer.UpdateCheck()
}

func offered(f store.File) omaha.File {
	return omaha.File{Name: f.Name, SizeBytes: f.SizeBytes, SHA256: f.SHA256}
}

// codebase is the URL of a release's folder, on the address by which this machine reached the service unless another
// is configured or the release is elsewhere.
func (s *Server) codebase(r *http.Request, url string) string {
	if strings.Contains(url, "://") {
		return url
	}
	base := strings.TrimSuffix(s.ExternalURL, "/")
	if base == "" {
		base = s.Proxies.Scheme(r) + "://" + r.Host
	}
	return base + "/v1/files/" + url
}
