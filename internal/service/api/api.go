// Package api is the service over HTTP: Omaha for machines, JSON for operators, files for both.
//
// Start with [New]; [Server.Handler] is one table of routes ([Server.routes]) with the access that each needs, what it takes
// and what it shows, from which the OpenAPI document is made too. Machines need no login: what they are offered is no
// secret, and what they install is trusted by signature alone. Operators have tokens with roles (package auth). The package
// decides nothing: it translates between HTTP and package fleet, and turns away what is too much (package edge). The protocols
// are docs/protocol/omaha.md and docs/ops/server.md.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/edge"
	"conifer.dev/conifer/internal/service/files"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store"
)

// History reads the logs.
type History interface {
	Events(ctx context.Context, app, machine string, limit int) ([]store.Event, error)
	Activity(ctx context.Context, limit int) ([]store.Activity, error)
	Samples(ctx context.Context, app, group string, step time.Duration, since time.Time) ([]store.Sample, error)
}

// Users tells who makes a request.
type Users interface {
	Identify(r *http.Request) (auth.Identity, error)
}

// Copier copies a database into a file while it is in use; a file is whole or not there.
type Copier interface {
	Backup(ctx context.Context, path string) error
}

// Limits say when requests are turned away. A zero means the default.
type Limits struct {
	UpdatesInFlight int           // requests of machines at once: 1024 that ask, and as many that report
	UpdatePatience  time.Duration // that one more may wait: 500 ms
	AdminPerSecond  float64       // requests of one address to the admin API: 50
	AdminBurst      int           // 250
	LoginBurst      int           // wrong tokens of one address at once: 10
	LoginEvery      time.Duration // until it may try one more: 6 s
}

func (l Limits) orDefaults() Limits {
	return Limits{
		or(l.UpdatesInFlight, 1024), or(l.UpdatePatience, 500*time.Millisecond),
		or(l.AdminPerSecond, 50), or(l.AdminBurst, 250), or(l.LoginBurst, 10), or(l.LoginEvery, 6*time.Second),
	}
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Settings are everything that requests are answered from.
type Settings struct {
	Fleet       *fleet.Fleet
	Files       *files.Folder
	History     History
	Copier      Copier // nil when the database has its own way
	BackupsIn   string // folder
	Users       Users
	ExternalURL string // of the service as machines reach it; "" means what each request was sent to
	Proxies     edge.Proxies
	Connections *edge.Connections // nil when nobody counts them
	Limits      Limits
	Registry    *prometheus.Registry
	Log         *slog.Logger
}

// Server answers requests.
type Server struct {
	Settings
	counts    *counts
	updates   *edge.Gate // requests that only ask
	reports   *edge.Gate // requests that wait for the disk
	large     *edge.Gate
	admins    *edge.Rates
	logins    *edge.Rates
	browsers  *http.CrossOriginProtection
	backingUp sync.Mutex
	refusals  rate.Sometimes // are logged
	document  func() []byte
}

// maxLarge is how many requests of machines may be of a size that no machine's is.
const maxLarge = 64

// New makes a server. Its metrics are in the registry.
func New(settings Settings) *Server {
	l := settings.Limits.orDefaults()
	s := &Server{
		Settings: settings,
		updates:  edge.NewGate(l.UpdatesInFlight, l.UpdatePatience),
		reports:  edge.NewGate(l.UpdatesInFlight, l.UpdatePatience),
		large:    edge.NewGate(maxLarge, 0),
		admins:   edge.NewRates(time.Duration(float64(time.Second)/l.AdminPerSecond), l.AdminBurst, time.Now),
		logins:   edge.NewRates(l.LoginEvery, l.LoginBurst, time.Now),
		browsers: http.NewCrossOriginProtection(),
		refusals: rate.Sometimes{First: 1, Interval: 10 * time.Second},
	}
	s.counts = newCounts(s)
	s.Registry.MustRegister(s.counts.collectors()...)
	s.document = sync.OnceValue(func() []byte { return document(s.routes()) })
	return s
}
