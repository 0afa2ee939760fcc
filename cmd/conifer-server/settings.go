package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/fleet"
)

// Config is /etc/conifer/server.toml; flags of the same names replace its values.
type Config struct {
	// Listen is the address and port to listen on.
	Listen string `toml:"listen"`
	// Data is the folder that everything is kept in: the database, the files, the admin token.
	Data string `toml:"data"`
	// Database is sqlite:PATH, or postgres://USER@HOST/NAME which several servers may share. When empty it is conifer.db in the data folder.
	Database string `toml:"database"`
	// DatabasePasswordFile holds the password of the user in Database, so that it stands in no argument and no configuration.
	DatabasePasswordFile string `toml:"database_password_file"`
	// ExternalURL is the service as machines reach it, for the addresses of files. When empty it is what each machine
	// itself asked.
	ExternalURL string `toml:"external_url"`
	// TLSCertificate and TLSKey are PEM files. When both are empty the service speaks plain HTTP. They are read again when they
	// change, and at SIGHUP.
	TLSCertificate string `toml:"tls_certificate"`
	TLSKey         string `toml:"tls_key"`
	// TrustedProxies are the networks of the proxies and balancers in front of the service, whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []string `toml:"trusted_proxies"`
	// MaxUploadBytes is the size of the largest file that may be uploaded.
	MaxUploadBytes int64 `toml:"max_upload_bytes"`
	// LogFormat is text or json.
	LogFormat string `toml:"log_format"`
	// Limits say when requests are turned away.
	Limits Limits `toml:"limits"`
	// Retention says how long what happened is remembered.
	Retention Retention `toml:"retention"`
}

// Limits say when requests are turned away. The defaults fit a small server with ten million machines.
type Limits struct {
	// MaxMachines bounds what strangers can make the service remember; further machines are answered, and not registered.
	MaxMachines int `toml:"max_machines"`
	// MaxConnections is how many peers there may be at once. Each takes some 20 KiB.
	MaxConnections int `toml:"max_connections"`
	// UpdatesInFlight is how many requests of machines may be under way at once; as many again wait.
	UpdatesInFlight int `toml:"updates_in_flight"`
	// UpdateWaitMilliseconds is how long one more of them may wait before it gets 503.
	UpdateWaitMilliseconds int `toml:"update_wait_milliseconds"`
	// AdminPerSecond is how often one address may use the admin API, after AdminBurst requests at once.
	AdminPerSecond float64 `toml:"admin_per_second"`
	AdminBurst     int     `toml:"admin_burst"`
	// WrongTokens is how many wrong tokens one address may give before it is refused without a look, and
	// WrongTokenSeconds how long until it may give one more.
	WrongTokens       int `toml:"wrong_tokens"`
	WrongTokenSeconds int `toml:"wrong_token_seconds"`
}

// Retention says how long what happened is remembered, in days; 0 is forever.
type Retention struct {
	// MachinesDays is since a machine was last seen.
	MachinesDays int `toml:"machines_days"`
	// EventsDays is the history of machines.
	EventsDays int `toml:"events_days"`
	// ActivityDays is who did what.
	ActivityDays int `toml:"activity_days"`
}

const day = 24 * time.Hour

func defaults() Config {
	usual := fleet.Defaults()
	days := func(d time.Duration) int { return int(d / day) }
	return Config{
		Listen: "127.0.0.1:8000", Data: "/var/lib/conifer-server", MaxUploadBytes: 16 << 30, LogFormat: "text", TrustedProxies: []string{},
		Limits: Limits{
			MaxMachines: usual.MaxMachines, MaxConnections: 8192, UpdatesInFlight: 1024, UpdateWaitMilliseconds: 500,
			AdminPerSecond: 50, AdminBurst: 250, WrongTokens: 10, WrongTokenSeconds: 6,
		},
		Retention: Retention{
			MachinesDays: days(usual.Retention.Machines), EventsDays: days(usual.Retention.Events), ActivityDays: days(usual.Retention.Activity),
		},
	}
}

// replaceFrom takes the flags that were given over the configuration.
func (c *Config) replaceFrom(given Config, changed func(flag string) bool) {
	for flag, replace := range map[string]func(){
		"listen":          func() { c.Listen = given.Listen },
		"data":            func() { c.Data = given.Data },
		"database":        func() { c.Database = given.Database },
		"tls-certificate": func() { c.TLSCertificate = given.TLSCertificate },
		"tls-key":         func() { c.TLSKey = given.TLSKey },
		"trusted-proxy":   func() { c.TrustedProxies = given.TrustedProxies },
	} {
		if changed(flag) {
			replace()
		}
	}
}

// check refuses what cannot be meant.
func (c *Config) check(dev bool) error {
	if (c.TLSCertificate == "") != (c.TLSKey == "") {
		return fault.New(fault.Invalid, "only one of tls_certificate and tls_key is set").WithHint("TLS needs both; without both the service speaks plain HTTP.")
	}
	for name, n := range map[string]int{
		"limits.max_machines": c.Limits.MaxMachines, "limits.max_connections": c.Limits.MaxConnections,
		"limits.updates_in_flight": c.Limits.UpdatesInFlight, "limits.update_wait_milliseconds": c.Limits.UpdateWaitMilliseconds,
		"limits.admin_burst": c.Limits.AdminBurst, "limits.wrong_tokens": c.Limits.WrongTokens, "limits.wrong_token_seconds": c.Limits.WrongTokenSeconds,
	} {
		if n < 1 {
			return fault.New(fault.Invalid, "%s is %d, not 1 or more", name, n)
		}
	}
	if c.Limits.AdminPerSecond <= 0 {
		return fault.New(fault.Invalid, "limits.admin_per_second is %v, not more than 0", c.Limits.AdminPerSecond)
	}
	if r := c.Retention; r.MachinesDays < 0 || r.EventsDays < 0 || r.ActivityDays < 0 {
		return fault.New(fault.Invalid, "retention has a negative number of days: %+v", r).WithHint("0 keeps it forever.")
	}
	if dev && !loopback(c.Listen) {
		return fault.New(fault.Invalid, "--dev listens on this host only, and %s is not of it", c.Listen).WithHint("Use --listen 127.0.0.1:8000, or leave --dev out.")
	}
	return nil
}

// loopback reports whether nobody but this host reaches the address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && at.IsLoopback()
}

// limits are those of the API.
func (c *Config) limits() api.Limits {
	return api.Limits{
		UpdatesInFlight: c.Limits.UpdatesInFlight, UpdatePatience: time.Duration(c.Limits.UpdateWaitMilliseconds) * time.Millisecond,
		AdminPerSecond: c.Limits.AdminPerSecond, AdminBurst: c.Limits.AdminBurst,
		LoginBurst: c.Limits.WrongTokens, LoginEvery: time.Duration(c.Limits.WrongTokenSeconds) * time.Second,
	}
}

// fleet are the settings of the fleet.
func (c *Config) fleet() fleet.Options {
	return fleet.Options{MaxMachines: c.Limits.MaxMachines, Retention: fleet.Retention{
		Machines: time.Duration(c.Retention.MachinesDays) * day, Events: time.Duration(c.Retention.EventsDays) * day,
		Activity: time.Duration(c.Retention.ActivityDays) * day,
	}}
}

// in is a path in the data folder.
func (c *Config) in(name string) string { return filepath.Join(c.Data, name) }

// databasePath is that of the SQLite database, or "" when it is PostgreSQL.
func (c *Config) databasePath() (string, error) {
	scheme, path, given := strings.Cut(c.Database, ":")
	switch {
	case !given && c.Database == "":
		return c.in("conifer.db"), nil
	case given && scheme == "sqlite" && path != "":
		return strings.TrimPrefix(path, "//"), nil
	case given && (scheme == "postgres" || scheme == "postgresql"):
		return "", nil
	}
	return "", fault.New(fault.Invalid, "the database is neither sqlite:PATH nor postgres://USER@HOST/NAME").
		WithHint("Leave it empty for SQLite in the data folder.") // it is not shown: there may be a password in it
}
