package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
)

// program is what every command works with: the world, and the flags that belong to all of them.
type program struct {
	env        cli.Env
	configFile string
	flags      settings // what flags said, where they said something
	json       bool
}

// Run executes one command line and returns its exit code.
func Run(ctx context.Context, env cli.Env) int {
	p := &program{env: env}
	root := &cobra.Command{
		Use:           "conifer-cluster",
		Short:         "Let the machines of a cluster reboot one after another (FleetLock)",
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := p.load(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), s, env.Stderr, slog.New(slog.NewTextHandler(env.Stderr, nil)))
		},
	}
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Wrap(fault.Invalid, err) })
	p.addFlags(root)
	root.AddCommand(p.config(), p.lock())
	return env.Exit("conifer-cluster", root.ExecuteContext(ctx))
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Invalid, "unknown command %q", args[0]).WithHint("`conifer-cluster --help` lists them.")
	}
	return nil
}

// config shows the effective settings.
func (p *program) config() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the effective settings of the configuration files and where each came from",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, origins, err := p.load(cmd)
			if err != nil {
				return err
			}
			return origins.Print(p.env.Stdout)
		},
	}
}
