package agent

import (
	"net/url"
	"regexp"
	"time"

	"conifer.dev/conifer/internal/config"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// ConfigPath is where the configuration of a machine is, with drop-ins beside it in agent.d.
const ConfigPath = "/etc/conifer/agent.toml"

// Config is /etc/conifer/agent.toml. Durations are texts like "90s", "10m" or "1h30m".
type Config struct {
	// Server is the URL of the update service, without /v1/update/. Without it the machine never looks for updates.
	Server string `toml:"server"`
	// Group is the group that the machine asks to be in; Omaha calls it the track.
	Group string `toml:"group"`
	// App is the Omaha application id of the operating system.
	App string `toml:"app"`
	// Alias is a name for people to know the machine by, sent to the service. The hostname is not sent by itself.
	Alias string `toml:"alias"`
	// Wariness is a number from 0 to 1 that the machine tells the service: how late in a roll-out over time it wants to be, 0 among
	// the first and 1 among the last. Empty leaves its place to chance.
	Wariness string `toml:"wariness"`
	// PollInterval is the time between two looks for an update.
	PollInterval time.Duration `toml:"poll_interval"`
	// PollJitter is how much later than that a look may come, at random, so that a fleet does not ask at once.
	PollJitter time.Duration `toml:"poll_jitter"`
	// MaxDownloadBytesPerSecond bounds how fast payloads are downloaded. 0 means as fast as they come.
	MaxDownloadBytesPerSecond int64 `toml:"max_download_bytes_per_second"`
	// LockURL is the base URL of the FleetLock server that reboots need a lock from. Empty means that they need none.
	LockURL string `toml:"lock_url"`
	// LockGroup is the group whose slots the machine takes.
	LockGroup string `toml:"lock_group"`
	// RootOfTrust is the first TUF root, part of the verified system.
	RootOfTrust string `toml:"root_of_trust"`
	// StateFolder is where the agent keeps what it must remember.
	StateFolder string `toml:"state_folder"`
	// ESP is where the EFI system partition is mounted.
	ESP string `toml:"esp"`
	// Listen is an address such as ":9273" for /healthz, /status and /metrics, for everybody who can reach it. Empty means none.
	Listen string `toml:"listen"`
	// Health is how a new release is judged.
	Health HealthConfig `toml:"health"`
}

// HealthConfig is how a new release is judged before it is committed.
type HealthConfig struct {
	// Deadline is how long after the start of the agent a new release must be healthy. Keep it below OnBootSec of
	// conifer-trial.timer.
	Deadline time.Duration `toml:"deadline"`
	// Settle is how long everything must stay well.
	Settle time.Duration `toml:"settle"`
	// Folder holds executables that exit 0 when the machine is healthy.
	Folder string `toml:"folder"`
	// ProgramTimeout is how long each of them may take.
	ProgramTimeout time.Duration `toml:"program_timeout"`
}

// DefaultConfig is the configuration without a file.
func DefaultConfig() Config {
	return Config{
		Group: "stable", App: "conifer-os", PollInterval: time.Hour, PollJitter: 10 * time.Minute,
		LockGroup:   fleetlock.DefaultGroup,
		RootOfTrust: "/usr/share/conifer/root.json", StateFolder: "/var/lib/conifer", ESP: "/efi",
		Health: HealthConfig{
			Deadline: 5 * time.Minute, Settle: 20 * time.Second, Folder: "/etc/conifer/health.d", ProgramTimeout: 30 * time.Second,
		},
	}
}

// LoadConfig reads the file at path and its drop-ins over the defaults.
func LoadConfig(path string) (Config, *config.Config, error) {
	c := DefaultConfig()
	origins, err := config.Load(path, &c)
	if err != nil {
		return c, nil, err
	}
	return c, origins, c.check()
}

func (c *Config) check() error {
	for _, rule := range []struct {
		ok   bool
		what string
	}{
		{c.Server == "" || isURL(c.Server), "server is not of the form http(s)://HOST[/PATH]"},
		{c.LockURL == "" || isURL(c.LockURL), "lock_url is not of the form http(s)://HOST[/PATH]"},
		{c.App != "" && c.Group != "", "app or group is empty"},
		{fleetlock.ValidGroup(c.LockGroup), "lock_group is not letters, digits, dots and hyphens"},
		{c.Wariness == "" || isShare(c.Wariness), "wariness is not a number from 0 to 1"},
		{c.PollInterval >= time.Second, "poll_interval is shorter than 1s"},
		{c.PollJitter >= 0, "poll_jitter is negative"},
		{c.MaxDownloadBytesPerSecond >= 0, "max_download_bytes_per_second is negative"},
		{c.Health.Deadline > c.Health.Settle && c.Health.Settle >= 0, "health.deadline is not longer than health.settle"},
		{c.Health.ProgramTimeout > 0, "health.program_timeout is not positive"},
	} {
		if !rule.ok {
			return fault.New(fault.Invalid, "configuration: %s", rule.what)
		}
	}
	return nil
}

// shareForm is a number from 0 to 1 without a sign or an exponent.
var shareForm = regexp.MustCompile(`^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$`)

func isShare(text string) bool { return shareForm.MatchString(text) }

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
