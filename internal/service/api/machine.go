package api

import (
	"net/http"
	"slices"
	"strconv"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// maxRows bounds one answer; what is after the last row of it is asked for with after.
const maxRows = 100000

// number reads a count from the query.
func number(r *http.Request, name string, otherwise int) (int, error) {
	text := query(r, name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxRows {
		return 0, fault.New(fault.Invalid, "%s is %q, not a positive number up to %d", name, text, maxRows)
	}
	return n, nil
}

func (s *Server) listMachines(r *http.Request) ([]store.Machine, error) {
	filter := fleet.Filter{
		Group: query(r, "group"), State: rollout.State(query(r, "state")), Version: query(r, "version"), After: query(r, "after"),
	}
	if filter.State != "" && !slices.Contains(rollout.States, filter.State) {
		return nil, fault.New(fault.Invalid, "%q is no state of a machine", filter.State).WithHint("States are: %q.", rollout.States)
	}
	limit, err := number(r, "limit", 1000)
	if err != nil {
		return nil, err
	}
	filter.Limit = limit
	return s.Fleet.Machines(app(r), filter)
}

func (s *Server) explainMachine(r *http.Request) (admin.Explanation, error) {
	return s.Fleet.Explain(app(r), r.PathValue("id"))
}

func (s *Server) showMachine(r *http.Request) (admin.MachineHistory, error) {
	e, err := s.Fleet.Explain(app(r), r.PathValue("id"))
	if err != nil {
		return admin.MachineHistory{}, err
	}
	events, err := s.events(r, e.Machine.App, e.Machine.ID)
	return admin.MachineHistory{Machine: e.Machine, Barred: e.Barred, Pin: e.Pin, Events: events}, err
}

// events reads the log, of one machine or of all.
func (s *Server) events(r *http.Request, app, machine string) ([]store.Event, error) {
	limit, err := number(r, "limit", 100)
	if err != nil {
		return nil, err
	}
	events, err := s.History.Events(r.Context(), app, machine, limit)
	if events == nil {
		events = []store.Event{}
	}
	return events, err
}

// machineEvents shows the events of a machine that may be forgotten by now.
func (s *Server) machineEvents(r *http.Request) ([]store.Event, error) {
	return s.eventsOf(r, r.PathValue("id"))
}

func (s *Server) allEvents(r *http.Request) ([]store.Event, error) { return s.eventsOf(r, "") }

func (s *Server) eventsOf(r *http.Request, machine string) ([]store.Event, error) {
	for _, a := range s.Fleet.Apps() {
		if a.ID == app(r) || a.Name == app(r) {
			return s.events(r, a.ID, machine)
		}
	}
	return nil, fault.New(fault.NotFound, "application %q is unknown", app(r)).WithHint("`conifer app list` shows those that are known.")
}

func (s *Server) retryMachine(r *http.Request, retry admin.Retry) ([]store.Bar, error) {
	return s.Fleet.Retry(r.Context(), who(r), app(r), r.PathValue("id"), retry.Release)
}

func (s *Server) pinMachine(r *http.Request, pin admin.Pin) error {
	return s.Fleet.PinMachine(r.Context(), who(r), app(r), r.PathValue("id"), pin)
}

func (s *Server) unpinMachine(r *http.Request) error {
	return s.Fleet.UnpinMachine(r.Context(), who(r), app(r), r.PathValue("id"))
}

func (s *Server) forgetMachine(r *http.Request) error {
	return s.Fleet.ForgetMachine(r.Context(), who(r), app(r), r.PathValue("id"))
}
