package main

import (
	"context"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/config"
	"conifer.dev/conifer/internal/fault"
)

// Config is /etc/conifer/server.toml; flags of the same names replace its values.
type Config struct {
	// Listen is the address and port to listen on. Put TLS in front of it when machines are not on a network of yours.
	Listen string `toml:"listen"`
	// Data is the folder that everything is kept in: the database, the files, the admin token.
	Data string `toml:"data"`
	// Database is sqlite:PATH. When empty it is conifer.db in the data folder.
	Database string `toml:"database"`
	// ExternalURL is the service as machines reach it, for the addresses of files. When empty it is what each machine
	// itself asked.
	ExternalURL string `toml:"external_url"`
	// MaxUploadBytes is the size of the largest file that may be uploaded.
	MaxUploadBytes int64 `toml:"max_upload_bytes"`
	// LogFormat is text or json.
	LogFormat string `toml:"log_format"`
}

func defaults() Config {
	return Config{Listen: "127.0.0.1:8000", Data: "/var/lib/conifer-server", MaxUploadBytes: 16 << 30, LogFormat: "text"}
}

// Run executes one command line and returns its exit code. It serves until ctx ends.
func Run(ctx context.Context, env cli.Env) int {
	var flags Config
	var path string
	var dev bool
	var effective *config.Config
	settings := defaults()
	root := &cobra.Command{
		Use:   "conifer-server",
		Short: "Offer releases of the operating system to a fleet, and stop those that hurt it",
		Args:  noArguments, SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if effective, err = config.Load(path, &settings); err != nil {
				return err
			}
			replaceFrom(cmd, &settings, flags)
			return nil
		},
		RunE: func(*cobra.Command, []string) error { return serve(ctx, env, settings, dev) },
	}
	root.AddCommand(&cobra.Command{
		Use: "config", Short: "Print the effective configuration, and where each value came from", Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return effective.Print(env.Stdout) },
	})
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Wrap(fault.Invalid, err) })
	set := root.PersistentFlags()
	set.StringVar(&path, "config", "/etc/conifer/server.toml", "configuration file")
	set.StringVar(&flags.Listen, "listen", settings.Listen, "address and port to listen on")
	set.StringVar(&flags.Data, "data", settings.Data, "folder that everything is kept in")
	set.StringVar(&flags.Database, "database", "", "sqlite:PATH (default conifer.db in the data folder)")
	set.BoolVar(&dev, "dev", false, "add the application conifer-os with channels and groups alpha, beta and stable")
	return env.Exit("conifer-server", root.ExecuteContext(ctx))
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Invalid, "unexpected argument %q", args[0])
	}
	return nil
}

// replaceFrom takes the flags that were given over the configuration.
func replaceFrom(cmd *cobra.Command, settings *Config, flags Config) {
	for name, replace := range map[string]func(){
		"listen":   func() { settings.Listen = flags.Listen },
		"data":     func() { settings.Data = flags.Data },
		"database": func() { settings.Database = flags.Database },
	} {
		if cmd.Flags().Changed(name) {
			replace()
		}
	}
}
