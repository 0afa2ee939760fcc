package main

import (
	"context"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/config"
	"conifer.dev/conifer/internal/fault"
)

// Run executes one command line and returns its exit code. It serves until ctx ends.
func Run(ctx context.Context, env cli.Env) int {
	given, settings := defaults(), defaults()
	var path string
	var dev bool
	var effective *config.Config
	root := &cobra.Command{
		Use:   "conifer-server",
		Short: "Offer releases of the operating system to a fleet, and stop those that hurt it",
		Args:  noArguments, SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if effective, err = config.Load(path, &settings); err != nil {
				return err
			}
			settings.replaceFrom(given, cmd.Flags().Changed)
			return settings.check(dev)
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
	root.CompletionOptions.DisableDefaultCmd = true
	flags(root, &given, &path, &dev)
	return env.Exit("conifer-server", root.ExecuteContext(ctx))
}

func flags(root *cobra.Command, given *Config, path *string, dev *bool) {
	set := root.PersistentFlags()
	set.StringVar(path, "config", "/etc/conifer/server.toml", "configuration file")
	set.StringVar(&given.Listen, "listen", given.Listen, "address and port to listen on")
	set.StringVar(&given.Data, "data", given.Data, "folder that everything is kept in")
	set.StringVar(&given.Database, "database", "", "sqlite:PATH or postgres://USER@HOST/NAME (default conifer.db in the data folder)")
	set.StringVar(&given.TLSCertificate, "tls-certificate", "", "file of the certificate, in PEM")
	set.StringVar(&given.TLSKey, "tls-key", "", "file of its key, in PEM")
	set.StringSliceVar(&given.TrustedProxies, "trusted-proxy", nil, "network whose X-Forwarded-For is believed; may be repeated")
	set.BoolVar(dev, "dev", false, "try out on this host only, with the application conifer-os and its channels and groups")
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Invalid, "unexpected argument %q", args[0])
	}
	return nil
}
