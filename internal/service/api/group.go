package api

import (
	"net/http"
	"slices"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/store"
)

func (s *Server) listGroups(r *http.Request) ([]store.Group, error) { return s.Fleet.Groups(app(r)) }

func (s *Server) showGroup(r *http.Request) (admin.GroupStatus, error) {
	return s.Fleet.Group(r.Context(), app(r), name(r))
}

func (s *Server) setGroup(r *http.Request, patch admin.GroupPatch) (store.Group, error) {
	return s.Fleet.SetGroup(r.Context(), who(r), name(r), patch)
}

func (s *Server) removeGroup(r *http.Request) error {
	return s.Fleet.RemoveGroup(r.Context(), who(r), app(r), name(r))
}

func (s *Server) listRollouts(r *http.Request) ([]admin.RolloutStatus, error) {
	return s.Fleet.Rollouts(r.Context(), app(r), name(r))
}

func (s *Server) speedUp(r *http.Request, emergency admin.Emergency) error {
	app, arch, version := build(r)
	return s.Fleet.SpeedUp(r.Context(), who(r), app, name(r), arch, version, emergency.On)
}

// steps of the time series that are kept.
var steps = []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}

// usualSteps are shown when nobody says since when.
const usualSteps = 288

func (s *Server) listSamples(r *http.Request) ([]store.Sample, error) {
	step := steps[0]
	if text := query(r, "step"); text != "" {
		parsed, err := time.ParseDuration(text)
		if err != nil || !slices.Contains(steps, parsed) {
			return nil, fault.New(fault.Invalid, "step is %q, and samples are kept at 5m, 1h and 24h", text)
		}
		step = parsed
	}
	since := time.Now().Add(-usualSteps * step)
	if text := query(r, "since"); text != "" {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "since is %q, not a time like 2026-11-01T12:00:00Z", text)
		}
		since = parsed
	}
	group, err := s.Fleet.Group(r.Context(), app(r), name(r)) // which knows the application by its name
	if err != nil {
		return nil, err
	}
	return s.History.Samples(r.Context(), group.App, group.Name, step, since)
}
