package api

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"conifer.dev/conifer/internal/service/auth"
)

// The parameters that several routes have.
var (
	byApp   = param{"app", "id or name of the application", true}
	byArch  = param{"arch", "architecture of the release, in Debian's words", true}
	atMost  = param{"limit", "at most so many", false}
	ofApp   = []param{byApp}
	ofBuild = []param{byApp, byArch}
	ofLog   = []param{byApp, atMost}
)

// routes is the table.
func (s *Server) routes() []route {
	rows := []route{
		{"POST /v1/update", auth.Nobody, "Answer a machine", nil, plain(update, s.update)},
		{"POST /v1/update/{$}", auth.Nobody, "Answer a machine", nil, plain(update, s.update)},
		{"GET /v1/files/", auth.Nobody, "Send a file", nil, plain(file, s.below("/v1/files/", s.Files.Get))},
		{"PUT /v1/files/", auth.Operator, "Take a file", nil, plain(file, s.below("/v1/files/", s.Files.Put))},
		{"GET /v1/openapi.json", auth.Nobody, "Describe the admin API", nil, plain(quick, s.showDocument)},
		{"GET /healthz", auth.Nobody, "Tell that the service runs", nil, plain(quick, alive)},
		{"GET /readyz", auth.Nobody, "Tell whether the service takes changes", nil, plain(quick, s.ready)},
		{"GET /metrics", auth.Nobody, "Show metrics for Prometheus", nil, plain(quick, s.metrics())},
	}
	rows = append(rows, s.catalogRoutes()...)
	rows = append(rows, s.groupRoutes()...)
	rows = append(rows, s.machineRoutes()...)
	return append(rows, s.serviceRoutes()...)
}

func (s *Server) catalogRoutes() []route {
	return []route{
		{"GET /v1/admin/apps", auth.Viewer, "List the applications", nil, shows(s.listApps)},
		{"POST /v1/admin/apps", auth.Admin, "Add an application", nil, takes(s.addApp)},
		{"GET /v1/admin/releases", auth.Viewer, "List the releases of an application, the newest first", ofApp, shows(s.listReleases)},
		{"POST /v1/admin/releases", auth.Operator, "Register a release; no channel points at it yet", nil, takes(s.addRelease)},
		{"GET /v1/admin/releases/{version}", auth.Viewer, "Show a release and what became of it", ofBuild, shows(s.showRelease)},
		{"PATCH /v1/admin/releases/{version}", auth.Operator, "Change a release's notes, floor or dead end", ofBuild, takes(s.setRelease)},
		{"DELETE /v1/admin/releases/{version}", auth.Operator, "Forget a release that nothing points at", ofBuild, does(s.forgetRelease)},
		{"PUT /v1/admin/releases/{version}/halt", auth.Operator, "Stop offering a release", ofBuild, takes(s.haltRelease)},
		{"DELETE /v1/admin/releases/{version}/halt", auth.Operator, "Offer a halted release again", ofBuild, does(s.resumeRelease)},
		{"GET /v1/admin/channels", auth.Viewer, "List the channels of an application", ofApp, shows(s.listChannels)},
		{"POST /v1/admin/channels", auth.Operator, "Add a channel that points nowhere yet", nil, takes(s.addChannel)},
		{"PUT /v1/admin/channels/{name}", auth.Operator, "Point a channel at a release", nil, takes(s.setChannel)},
		{"DELETE /v1/admin/channels/{name}", auth.Operator, "Remove a channel that no group follows", ofApp, does(s.removeChannel)},
	}
}

func (s *Server) groupRoutes() []route {
	since := []param{
		byApp,
		{"step", "how far apart: 5m (the default), 1h or 24h", false},
		{"since", "the earliest, as RFC 3339 time; without it 288 steps back", false},
	}
	return []route{
		{"GET /v1/admin/groups", auth.Viewer, "List the groups of an application", ofApp, shows(s.listGroups)},
		{"GET /v1/admin/groups/{name}", auth.Viewer, "Show a group with its machines counted", ofApp, shows(s.showGroup)},
		{"PATCH /v1/admin/groups/{name}", auth.Operator, "Change a group, or make it", nil, trades(s.setGroup)},
		{"DELETE /v1/admin/groups/{name}", auth.Operator, "Remove a group with its rollouts", ofApp, does(s.removeGroup)},
		{"GET /v1/admin/groups/{name}/samples", auth.Viewer, "Show a group's time series, the oldest first", since, shows(s.listSamples)},
		{"GET /v1/admin/groups/{name}/rollouts", auth.Viewer, "List a group's rollouts, the newest first", ofApp, shows(s.listRollouts)},
		{"PUT /v1/admin/groups/{name}/rollouts/{version}/emergency", auth.Operator,
			"Let a rollout ignore percent and windows, or heed them again", ofBuild, takes(s.speedUp)},
	}
}

func (s *Server) machineRoutes() []route {
	filter := []param{
		byApp, {"group", "only of this group", false}, {"state", "only in this state", false}, {"version", "only on this version", false},
		{"after", "begin after this machine id", false}, {"limit", "at most so many (1000 unless told)", false},
	}
	return []route{
		{"GET /v1/admin/machines", auth.Viewer, "List machines by their ids", filter, shows(s.listMachines)},
		{"GET /v1/admin/machines/{id}", auth.Viewer, "Show a machine with its history", ofLog, shows(s.showMachine)},
		{"DELETE /v1/admin/machines/{id}", auth.Operator, "Forget a machine; it is known again when it next asks", ofApp, does(s.forgetMachine)},
		{"GET /v1/admin/machines/{id}/events", auth.Viewer, "List what happened to a machine, the newest first", ofLog, shows(s.machineEvents)},
		{"GET /v1/admin/machines/{id}/explain", auth.Viewer, "Say what a machine would be answered now, and why", ofApp, shows(s.explainMachine)},
		{"POST /v1/admin/machines/{id}/retry", auth.Operator, "Let a machine have again what it failed on", ofApp, trades(s.retryMachine)},
		{"PUT /v1/admin/machines/{id}/pin", auth.Operator, "Hold a machine at a release", ofApp, takes(s.pinMachine)},
		{"DELETE /v1/admin/machines/{id}/pin", auth.Operator, "Let a machine follow its group again", ofApp, does(s.unpinMachine)},
		{"GET /v1/admin/events", auth.Viewer, "List what happened to all machines, the newest first", ofLog, shows(s.allEvents)},
	}
}

func (s *Server) serviceRoutes() []route {
	backup := shows(s.backup)
	backup.kind = long
	return []route{
		{"GET /v1/admin/activity", auth.Viewer, "List who did what, the newest first", []param{atMost}, shows(s.listActivity)},
		{"GET /v1/admin/tokens", auth.Admin, "List the tokens, without their secrets", nil, shows(s.listTokens)},
		{"POST /v1/admin/tokens", auth.Admin, "Make a token; its secret is shown once", nil, trades(s.addToken)},
		{"DELETE /v1/admin/tokens/{id}", auth.Admin, "Make a token worthless", nil, does(s.removeToken)},
		{"GET /v1/admin/configuration", auth.Viewer, "Export the configuration", nil, shows(s.exportConfiguration)},
		{"POST /v1/admin/configuration", auth.Operator, "Apply a configuration; to change applications or prune needs an admin", nil, trades(s.applyConfiguration)},
		{"POST /v1/admin/backup", auth.Admin, "Copy the database into the data folder", nil, backup},
		{"GET /v1/admin/files/usage", auth.Viewer, "List what was sent of each file to each address since the start", nil, shows(s.fileUsage)},
	}
}

func (s *Server) metrics() func(http.ResponseWriter, *http.Request) error {
	shown := promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		shown.ServeHTTP(w, r)
		return nil
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
