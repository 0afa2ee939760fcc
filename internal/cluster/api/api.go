// Package api is the HTTP side of a cluster's reboot locks: FleetLock for the machines, and a second door for
// the operator.
//
// Start with [New]; [Server.Public] is what machines and monitoring reach, [Server.Admin] what listens on a unix
// socket only ([ListenAdmin]), and [Dial] the client of the latter. FleetLock knows no credentials: whoever reaches
// the public handler can take a slot in any machine's name, so it belongs on the cluster's own network. The
// package decides nothing about locks; that is internal/cluster/reboot. The protocol is docs/protocol/fleetlock.md.
package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Locks are the reboot locks that the server is in front of.
type Locks interface {
	Apply(ctx context.Context, group string, event reboot.Event) (reboot.Outcome, error)
	List(ctx context.Context) (map[string]reboot.State, error)
}

// storeTimeout bounds what a request waits for the store.
const storeTimeout = 5 * time.Second

// Server answers machines and operators.
type Server struct {
	locks   Locks
	groups  map[string]int // name -> slots; no other group is served
	log     *slog.Logger
	metrics *Metrics
}

// New serves the locks of the given groups.
func New(locks Locks, groups map[string]int, log *slog.Logger) *Server {
	return &Server{locks: locks, groups: groups, log: log, metrics: newMetrics(locks, groups)}
}

// Metrics are the server's collectors, for the program to register.
func (s *Server) Metrics() *Metrics { return s.metrics }

// route is one line of the table that says all there is.
type route struct {
	pattern string
	handle  http.HandlerFunc
}

func mux(routes []route) http.Handler {
	m := http.NewServeMux()
	for _, r := range routes {
		m.HandleFunc(r.pattern, r.handle)
	}
	return m
}

// Public is for machines and monitoring; exposition serves /metrics.
func (s *Server) Public(exposition http.Handler) http.Handler {
	return mux([]route{
		{"POST " + fleetlock.PreReboot, s.fleetlock("pre_reboot", acquire)},
		{"POST " + fleetlock.SteadyState, s.fleetlock("steady_state", release)},
		{"GET /healthz", s.healthz},
		{"GET /readyz", s.readyz},
		{"GET /metrics", exposition.ServeHTTP},
	})
}

func acquire(id string) reboot.Event { return reboot.Acquire{ID: id} }
func release(id string) reboot.Event { return reboot.Release{ID: id} }

// Prepare brings the configured number of slots into the store. Where several servers share it, the last one
// started is obeyed.
func (s *Server) Prepare(ctx context.Context) error {
	for group, slots := range s.groups {
		outcome, err := s.locks.Apply(ctx, group, reboot.Resize{Slots: slots})
		if err != nil {
			return err
		}
		if outcome.Changed() {
			s.log.Info("number of reboot slots changed", "group", group, "slots", slots)
		}
	}
	return nil
}

// fleetlock answers one of the two requests of the protocol.
func (s *Server) fleetlock(endpoint string, event func(id string) reboot.Event) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
		defer cancel()
		verdict, err := s.apply(ctx, r, event)
		if err != nil {
			refusal := fleetlock.ErrorOf(err)
			s.metrics.requests.WithLabelValues(endpoint, refusal.Kind).Inc()
			s.refuse(w, refusal)
			return
		}
		s.metrics.requests.WithLabelValues(endpoint, string(verdict)).Inc()
		w.WriteHeader(http.StatusOK)
	}
}

func (s *Server) apply(ctx context.Context, r *http.Request, event func(id string) reboot.Event) (reboot.Verdict, error) {
	p, err := read(r)
	if err != nil {
		return "", err
	}
	if _, ok := s.groups[p.Group]; !ok {
		return "", fault.New(fault.NotFound, "there is no group %s here", p.Group)
	}
	outcome, err := s.locks.Apply(ctx, p.Group, event(p.ID))
	if err != nil {
		s.log.Warn("reboot lock is out of reach", "group", p.Group, "machine", p.ID, "error", err)
		return "", err
	}
	if outcome.Changed() {
		s.log.Info("reboot lock changed", "verdict", outcome.Verdict, "group", p.Group, "machine", p.ID, "held", len(outcome.Holders), "slots", outcome.Slots)
	}
	return outcome.Verdict, outcome.Err()
}

// read takes the parameters from a request.
func read(r *http.Request) (fleetlock.Params, error) {
	if err := fleetlock.CheckHeader(r.Header.Values(fleetlock.HeaderName)); err != nil {
		return fleetlock.Params{}, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, fleetlock.MaxBytes+1))
	if err != nil {
		return fleetlock.Params{}, fault.New(fault.Invalid, "read request: %w", err)
	}
	return fleetlock.ParseRequest(body)
}

func (s *Server) refuse(w http.ResponseWriter, refusal fleetlock.Error) {
	body, err := refusal.Encode()
	if err != nil {
		s.log.Error("refusal cannot be encoded", "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusal.Status())
	w.Write(body)
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }

// readyz is whether a machine that asks now would get an answer.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	if _, err := s.locks.List(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ready\n")
}

// HTTP wraps a handler with the limits that every listener of this program has.
func HTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
