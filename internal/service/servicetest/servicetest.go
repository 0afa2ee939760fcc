// Package servicetest runs the whole service inside a test, and machines that speak with it.
//
// Start with [Start]: the real database in a folder, the real routes on a port of this host. [Machine] is what an agent or
// update_engine says, written and read with the codec that the agent uses.
package servicetest

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/files"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/service/store/sqlite"
	"conifer.dev/conifer/internal/wire/omaha"
)

// Token is the admin token of every service under test.
const Token = "a token for tests only"

// App is the application that [Service.Populate] adds.
const App = "conifer-os"

// Service is a running service.
type Service struct {
	*api.Server
	URL    string
	Client *client.Client
	t      testing.TB
}

// Start runs a service on the folder, which may hold what another one left there. The settings may be changed before it starts.
func Start(t testing.TB, folder string, change ...func(*api.Settings)) *Service {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(folder, "conifer.db"))
	check(t, err)
	stored, err := files.Open(filepath.Join(folder, "files"), 16<<20)
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	memory, err := fleet.Open(t.Context(), db, log, time.Now, fleet.Defaults())
	check(t, err)
	registry := prometheus.NewRegistry()
	registry.MustRegister(memory.Metrics.Collectors()...)
	settings := api.Settings{
		Fleet: memory, Files: stored, History: db, Copier: db, BackupsIn: filepath.Join(folder, "backups"), Registry: registry, Log: log,
		Users:  auth.Tokens{Admin: Token, Find: memory.Token, Now: time.Now},
		Limits: api.Limits{AdminPerSecond: 1e6, AdminBurst: 1e6, LoginBurst: 1e6}, // tests are in a hurry
	}
	for _, set := range change {
		set(&settings)
	}
	s := &Service{Server: api.New(settings), t: t}
	listening := httptest.NewServer(s.Handler())
	s.URL = listening.URL
	s.Client, err = client.New(s.URL, Token)
	check(t, err)
	t.Cleanup(func() {
		listening.Close()
		memory.Close()
		check(t, db.Close())
		check(t, stored.Close())
	})
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Release is a release of [App] whose files nobody has to have.
func Release(version string) store.Release {
	return store.Release{
		App: App, Arch: "amd64", Version: version, URL: "conifer-os/amd64/" + version + "/", File: "full.payload",
		SizeBytes: 1000, SHA256: strings.Repeat("ab", 32),
	}
}

// Delta is a delta to such a release, for machines that know delta-1.
func Delta(from string) store.Delta {
	return store.Delta{
		From: from, Features: []string{"delta-1"}, File: store.File{Name: "from-" + from + ".payload", SizeBytes: 50, SHA256: strings.Repeat("cd", 32)},
	}
}

// Populate adds the application, releases, and groups alpha and stable that follow channels of their names, which point at
// the first release.
func (s *Service) Populate(versions ...string) {
	s.t.Helper()
	check(s.t, s.Client.AddApp(s.t.Context(), store.App{ID: App, Name: "conifer"}))
	for _, v := range versions {
		check(s.t, s.Client.AddRelease(s.t.Context(), Release(v)))
	}
	for _, name := range []string{"alpha", "stable"} {
		s.Point(name, versions[0])
		_, err := s.Client.SetGroup(s.t.Context(), name, admin.GroupPatch{App: App})
		check(s.t, err)
	}
}

// Point points a channel at a release.
func (s *Service) Point(channel, version string) {
	s.t.Helper()
	check(s.t, s.Client.SetChannel(s.t.Context(), channel, admin.ChannelTarget{App: App, Arch: "amd64", Release: version}))
}

// Machine is a machine that speaks with the service.
type Machine struct {
	Service *Service
	ID      string
	Group   string
	Version string

	// Payloads are the features of payloads that it says it can apply, as words.
	Payloads string
}

// NewMachine makes a machine; the service does not know it yet.
func (s *Service) NewMachine(id, group, version string) *Machine {
	return &Machine{Service: s, ID: id, Group: group, Version: version}
}

// Poll asks for an update, as update_engine does: with a ping and, when nothing else is said, its empty 3/2.
func (m *Machine) Poll(events ...omaha.Event) *omaha.UpdateCheck {
	m.Service.t.Helper()
	if len(events) == 0 {
		events = []omaha.Event{{Type: omaha.UpdateComplete, Result: omaha.SuccessReboot}}
	}
	answer, err := m.Send(omaha.AppRequest{Ping: &omaha.Ping{Active: "1"}, UpdateCheck: &omaha.UpdateCheckRequest{}, Events: events})
	check(m.Service.t, err)
	if answer.UpdateCheck == nil {
		m.Service.t.Fatalf("machine %s asked, and was not answered: %+v", m.ID, answer)
	}
	return answer.UpdateCheck
}

// Report sends an event and nothing else.
func (m *Machine) Report(e omaha.Event) {
	m.Service.t.Helper()
	answer, err := m.Send(omaha.AppRequest{Events: []omaha.Event{e}})
	check(m.Service.t, err)
	if len(answer.Events) != 1 {
		m.Service.t.Fatalf("machine %s reported, and got %d acknowledgements", m.ID, len(answer.Events))
	}
}

// Send makes one request about [App].
func (m *Machine) Send(app omaha.AppRequest) (*omaha.AppResponse, error) {
	app.ID, app.MachineID, app.Track, app.Version, app.Board = App, m.ID, m.Group, m.Version, "amd64-usr"
	app.Payloads = m.Payloads
	text, err := omaha.NewRequest("servicetest", omaha.Scheduled, app).Encode()
	if err != nil {
		return nil, err
	}
	answer, err := http.Post(m.Service.URL+"/v1/update/", "text/xml", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fault.New(fault.FromHTTPStatus(answer.StatusCode), "%s: %s", answer.Status, body)
	}
	response, err := omaha.ParseResponse(body)
	if err != nil {
		return nil, err
	}
	return response.App(App)
}
