package api

import (
	"net/http"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/store"
)

// who is written to the activity log.
func who(r *http.Request) string { return auth.From(r.Context()).Name }

func query(r *http.Request, name string) string { return r.URL.Query().Get(name) }

// app and name are the two that most requests are about.
func app(r *http.Request) string  { return query(r, "app") }
func name(r *http.Request) string { return r.PathValue("name") }

// build names the release that a request is about.
func build(r *http.Request) (app, arch, version string) {
	return query(r, "app"), query(r, "arch"), r.PathValue("version")
}

func (s *Server) listApps(*http.Request) ([]store.App, error) { return s.Fleet.Apps(), nil }

func (s *Server) addApp(r *http.Request, a store.App) error {
	return s.Fleet.AddApp(r.Context(), who(r), a)
}

func (s *Server) listReleases(r *http.Request) ([]admin.ReleaseStatus, error) {
	return s.Fleet.Releases(app(r))
}

func (s *Server) addRelease(r *http.Request, release store.Release) error {
	return s.Fleet.AddRelease(r.Context(), who(r), release)
}

func (s *Server) showRelease(r *http.Request) (admin.ReleaseStatus, error) {
	app, arch, version := build(r)
	return s.Fleet.Release(app, arch, version)
}

func (s *Server) setRelease(r *http.Request, patch admin.ReleasePatch) error {
	app, arch, version := build(r)
	return s.Fleet.SetRelease(r.Context(), who(r), app, arch, version, patch)
}

func (s *Server) forgetRelease(r *http.Request) error {
	app, arch, version := build(r)
	return s.Fleet.ForgetRelease(r.Context(), who(r), app, arch, version)
}

func (s *Server) haltRelease(r *http.Request, halt admin.Halt) error {
	app, arch, version := build(r)
	return s.Fleet.Halt(r.Context(), who(r), app, arch, version, halt.Reason)
}

func (s *Server) resumeRelease(r *http.Request) error {
	app, arch, version := build(r)
	return s.Fleet.Resume(r.Context(), who(r), app, arch, version)
}

func (s *Server) listChannels(r *http.Request) ([]store.Channel, error) {
	return s.Fleet.Channels(app(r))
}

func (s *Server) addChannel(r *http.Request, c admin.NewChannel) error {
	return s.Fleet.AddChannel(r.Context(), who(r), c.App, c.Name)
}

func (s *Server) setChannel(r *http.Request, target admin.ChannelTarget) error {
	return s.Fleet.SetChannel(r.Context(), who(r), target.App, name(r), target.Arch, target.Release)
}

func (s *Server) removeChannel(r *http.Request) error {
	return s.Fleet.RemoveChannel(r.Context(), who(r), app(r), name(r))
}
