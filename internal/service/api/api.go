// Package api is the service over HTTP: Omaha for machines, JSON for operators, files for both.
//
// Start with [New]; [Server.Handler] is one table of routes ([Server.routes]) with the access that each needs and the size
// that its body may have. Machines need no login: what they are offered is no secret, and what they install is
// trusted by signature alone. Everything that changes the fleet needs the admin token. The package decides nothing: it
// translates between HTTP and package fleet. The protocols are docs/protocol/omaha.md and docs/ops/server.md.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/files"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// History reads the logs.
type History interface {
	Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error)
	Activity(ctx context.Context, limit int) ([]store.Activity, error)
}

// Server is everything that requests are answered from.
type Server struct {
	Fleet       *fleet.Fleet
	Files       *files.Folder
	History     History
	Token       string // of the admin
	ExternalURL string // of the service as machines reach it; "" means what each request was sent to
	Registry    *prometheus.Registry
	Log         *slog.Logger
}

// access is who may use a route.
type access int

const (
	public access = iota
	admin
)

// route is one row of the table. A body of more than limitBytes is refused; 0 means that the handler limits it and the
// time that it takes.
type route struct {
	pattern    string
	access     access
	limitBytes int64
	serve      func(http.ResponseWriter, *http.Request) error
}

const (
	none    = 1       // no body is expected
	small   = 1 << 20 // a JSON body
	answers = 30 * time.Second
)

func (s *Server) routes() []route {
	metrics := promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{})
	return []route{
		{"POST /v1/update", public, omaha.MaxRequestBytes, s.update},
		{"POST /v1/update/{$}", public, omaha.MaxRequestBytes, s.update},
		{"GET /v1/files/", public, 0, below("/v1/files/", s.Files.Get)},
		{"PUT /v1/files/", admin, 0, below("/v1/files/", s.Files.Put)},

		{"GET /v1/admin/apps", admin, none, s.listApps},
		{"POST /v1/admin/apps", admin, small, s.addApp},
		{"GET /v1/admin/releases", admin, none, s.listReleases},
		{"POST /v1/admin/releases", admin, small, s.addRelease},
		{"GET /v1/admin/releases/{version}", admin, none, s.showRelease},
		{"DELETE /v1/admin/releases/{version}", admin, none, s.forgetRelease},
		{"PUT /v1/admin/releases/{version}/halt", admin, small, s.haltRelease},
		{"DELETE /v1/admin/releases/{version}/halt", admin, none, s.resumeRelease},
		{"GET /v1/admin/channels", admin, none, s.listChannels},
		{"PUT /v1/admin/channels/{name}", admin, small, s.setChannel},
		{"GET /v1/admin/groups", admin, none, s.listGroups},
		{"PATCH /v1/admin/groups/{name}", admin, small, s.setGroup},
		{"GET /v1/admin/machines", admin, none, s.listMachines},
		{"GET /v1/admin/machines/{id}", admin, none, s.showMachine},
		{"GET /v1/admin/machines/{id}/explain", admin, none, s.explainMachine},
		{"POST /v1/admin/machines/{id}/retry", admin, small, s.retryMachine},
		{"GET /v1/admin/activity", admin, none, s.listActivity},
		{"GET /v1/admin/files/usage", admin, none, s.fileUsage},

		{"GET /healthz", public, none, alive},
		{"GET /readyz", public, none, s.ready},
		{"GET /metrics", public, none, func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		}},
	}
}

// Routes lists the patterns of the table.
func (s *Server) Routes() []string {
	var patterns []string
	for _, r := range s.routes() {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// Handler serves the routes. A request that a browser makes for another site is refused.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.handler(r))
	}
	mux.Handle("/", s.handler(route{"/", public, none, func(_ http.ResponseWriter, r *http.Request) error {
		return fault.New(fault.NotFound, "there is no %s %s", r.Method, r.URL.Path)
	}}))
	return http.NewCrossOriginProtection().Handler(mux)
}

// handler carries out one row of the table.
func (s *Server) handler(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit(w, r, route)
		if route.access == admin && !s.authorized(r) {
			s.fail(w, r, fault.New(fault.Unauthorized, "%s %s needs the admin token", r.Method, r.URL.Path).
				WithHint("Name its file: --token-file DATA/admin.token."))
			return
		}
		if err := route.serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// limit bounds the size and the time of a request. The deadlines are set for every one, because a connection keeps those of
// the request before; a handler that limits itself starts with none.
func limit(w http.ResponseWriter, r *http.Request, route route) {
	var deadline time.Time
	if route.limitBytes > 0 {
		deadline = time.Now().Add(answers)
		r.Body = http.MaxBytesReader(w, r.Body, route.limitBytes)
	}
	control := http.NewResponseController(w)
	// A connection that cannot have deadlines, in a test, has none.
	_, _ = control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline)
}

// fail answers with an error. One that nobody classified is a bug: it is logged, and its text stays here.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if tooMany := (*http.MaxBytesError)(nil); errors.As(err, &tooMany) {
		err = fault.New(fault.Invalid, "the body has more than %d bytes", tooMany.Limit)
	}
	switch kind := fault.KindOf(err); kind {
	case fault.Internal:
		s.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		err = fault.New(fault.Internal, "internal error").WithHint("The service's log says more.")
	case fault.Unavailable:
		s.Log.Warn("a request was refused", "method", r.Method, "path", r.URL.Path, "error", err)
		w.Header().Set("Retry-After", "30")
	case fault.Unauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeError(w, err)
}

// below passes the path without the prefix to a handler.
func below(prefix string, serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, prefix)
		return serve(w, inner)
	}
}

func alive(w http.ResponseWriter, _ *http.Request) error {
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if !s.Fleet.Ready() {
		return fault.New(fault.Unavailable, "the database does not take changes")
	}
	return alive(w, r)
}
