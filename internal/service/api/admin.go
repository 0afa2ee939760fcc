package api

import (
	"net/http"
	"slices"
	"strconv"

	"conifer.dev/conifer/internal/fault"
	words "conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
)

// who is written to the activity log: there is one token, so there is one operator.
const who = "admin"

// done answers a change that has nothing to show.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) listApps(w http.ResponseWriter, _ *http.Request) error {
	return write(w, s.Fleet.Apps())
}

func (s *Server) addApp(w http.ResponseWriter, r *http.Request) error {
	var app store.App
	if err := read(r, &app); err != nil {
		return err
	}
	return done(w, s.Fleet.AddApp(r.Context(), who, app))
}

func (s *Server) listReleases(w http.ResponseWriter, r *http.Request) error {
	releases, err := s.Fleet.Releases(query(r, "app"))
	return answer(w, releases, err)
}

func (s *Server) addRelease(w http.ResponseWriter, r *http.Request) error {
	var release store.Release
	if err := read(r, &release); err != nil {
		return err
	}
	return done(w, s.Fleet.AddRelease(r.Context(), who, release))
}

// release names the release that a request is about.
func release(r *http.Request) (app, arch, version string) {
	return query(r, "app"), query(r, "arch"), r.PathValue("version")
}

func (s *Server) showRelease(w http.ResponseWriter, r *http.Request) error {
	app, arch, version := release(r)
	status, err := s.Fleet.Release(app, arch, version)
	return answer(w, status, err)
}

func (s *Server) forgetRelease(w http.ResponseWriter, r *http.Request) error {
	app, arch, version := release(r)
	return done(w, s.Fleet.ForgetRelease(r.Context(), who, app, arch, version))
}

func (s *Server) haltRelease(w http.ResponseWriter, r *http.Request) error {
	var halt words.Halt
	if err := read(r, &halt); err != nil {
		return err
	}
	app, arch, version := release(r)
	return done(w, s.Fleet.Halt(r.Context(), who, app, arch, version, halt.Reason))
}

func (s *Server) resumeRelease(w http.ResponseWriter, r *http.Request) error {
	app, arch, version := release(r)
	return done(w, s.Fleet.Resume(r.Context(), who, app, arch, version))
}

func (s *Server) listChannels(w http.ResponseWriter, r *http.Request) error {
	channels, err := s.Fleet.Channels(query(r, "app"))
	return answer(w, channels, err)
}

func (s *Server) setChannel(w http.ResponseWriter, r *http.Request) error {
	var target words.ChannelTarget
	if err := read(r, &target); err != nil {
		return err
	}
	return done(w, s.Fleet.SetChannel(r.Context(), who, target.App, r.PathValue("name"), target.Arch, target.Release))
}

func (s *Server) listGroups(w http.ResponseWriter, r *http.Request) error {
	groups, err := s.Fleet.Groups(query(r, "app"))
	return answer(w, groups, err)
}

func (s *Server) setGroup(w http.ResponseWriter, r *http.Request) error {
	var patch words.GroupPatch
	if err := read(r, &patch); err != nil {
		return err
	}
	group, err := s.Fleet.SetGroup(r.Context(), who, r.PathValue("name"), patch)
	return answer(w, group, err)
}

func (s *Server) listMachines(w http.ResponseWriter, r *http.Request) error {
	filter := fleet.Filter{Group: query(r, "group"), State: rollout.State(query(r, "state"))}
	if filter.State != "" && !slices.Contains(rollout.States, filter.State) {
		return fault.New(fault.Invalid, "%q is no state of a machine", filter.State).WithHint("States are: %q.", rollout.States)
	}
	limit, err := number(r, "limit", 1000)
	if err != nil {
		return err
	}
	filter.Limit = limit
	machines, err := s.Fleet.Machines(query(r, "app"), filter)
	return answer(w, machines, err)
}

func query(r *http.Request, name string) string { return r.URL.Query().Get(name) }

// number reads a count from the query.
func number(r *http.Request, name string, otherwise int) (int, error) {
	text := query(r, name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Invalid, "%s is %q, not a positive number", name, text)
	}
	return n, nil
}

func (s *Server) showMachine(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Fleet.Explain(query(r, "app"), r.PathValue("id"))
	if err != nil {
		return err
	}
	limit, err := number(r, "limit", 100)
	if err != nil {
		return err
	}
	events, err := s.History.Events(r.Context(), e.Machine.App, e.Machine.ID, limit)
	return answer(w, words.MachineHistory{Machine: e.Machine, Barred: e.Barred, Events: events}, err)
}

func (s *Server) explainMachine(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Fleet.Explain(query(r, "app"), r.PathValue("id"))
	return answer(w, e, err)
}

func (s *Server) retryMachine(w http.ResponseWriter, r *http.Request) error {
	var retry words.Retry
	if err := read(r, &retry); err != nil {
		return err
	}
	bars, err := s.Fleet.Retry(r.Context(), who, query(r, "app"), r.PathValue("id"), retry.Release)
	return answer(w, bars, err)
}

func (s *Server) listActivity(w http.ResponseWriter, r *http.Request) error {
	limit, err := number(r, "limit", 100)
	if err != nil {
		return err
	}
	entries, err := s.History.Activity(r.Context(), limit)
	return answer(w, entries, err)
}

func (s *Server) fileUsage(w http.ResponseWriter, _ *http.Request) error {
	return write(w, s.Files.Usage())
}
