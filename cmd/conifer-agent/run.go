package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/agent"
)

const usage = `Usage: conifer-agent [--config FILE] [--socket FILE] COMMAND

Keep this machine on the release that its update service offers.

Commands:
  run              the daemon; conifer-agent.service starts it
  status [--json]  what the agent does and waits for, slots and boot entries
  check            ask the service for an update now
  retry VERSION    allow a release that failed here once more
  config           the effective configuration, and where each value comes from

Files:
  /etc/conifer/agent.toml, agent.d/*.toml   configuration
  /etc/conifer/health.d/                    programs that exit 0 when the machine is healthy
`

// command is one command line.
type command struct {
	env    cli.Env
	config string
	socket string
	args   []string // after the command's name
}

// commands by name.
var commands = map[string]func(context.Context, *command) error{
	"run": runAgent, "status": showStatus, "check": checkNow, "retry": retry, "config": showConfig,
}

// Run executes one command line and returns its exit code.
func Run(ctx context.Context, env cli.Env) int {
	return env.Exit("conifer-agent", dispatch(ctx, env))
}

func dispatch(ctx context.Context, env cli.Env) error {
	c := &command{env: env}
	flags := newFlags("conifer-agent")
	flags.StringVar(&c.config, "config", agent.ConfigPath, "")
	flags.StringVar(&c.socket, "socket", agent.SocketPath, "")
	if help, err := parse(flags, env.Args); help || err != nil {
		if help {
			fmt.Fprint(env.Stdout, usage)
		}
		return err
	}
	name := flags.Arg(0)
	do, ok := commands[name]
	if !ok {
		fmt.Fprint(env.Stderr, usage)
		return fault.New(fault.Invalid, "unknown command %q", name)
	}
	c.args = flags.Args()[1:]
	return do(ctx, c)
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// parse makes wrong usage an error of kind Invalid, and a wish for help none.
func parse(flags *flag.FlagSet, args []string) (help bool, err error) {
	err = flags.Parse(args)
	if err == flag.ErrHelp {
		return true, nil
	}
	if err != nil {
		return false, fault.New(fault.Invalid, "%w", err).WithHint("See `conifer-agent --help`.")
	}
	return false, nil
}

// noArgs refuses what a command does not take.
func (c *command) noArgs(name string) error {
	if len(c.args) > 0 {
		return fault.New(fault.Invalid, "%s takes no argument, got %q", name, c.args[0])
	}
	return nil
}

func runAgent(ctx context.Context, c *command) error {
	if err := c.noArgs("run"); err != nil {
		return err
	}
	config, _, err := agent.LoadConfig(c.config)
	if err != nil {
		return err
	}
	// The journal has the time of every line.
	log := slog.New(slog.NewTextHandler(c.env.Stderr, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return agent.Main(ctx, config, log)
}

func showStatus(ctx context.Context, c *command) error {
	flags := newFlags("status")
	asJSON := flags.Bool("json", false, "")
	if help, err := parse(flags, c.args); help || err != nil {
		if help {
			fmt.Fprint(c.env.Stdout, usage)
		}
		return err
	}
	if c.args = flags.Args(); len(c.args) > 0 {
		return c.noArgs("status")
	}
	st, err := agent.NewClient(c.socket).Status(ctx)
	if err != nil {
		return err
	}
	if !*asJSON {
		st.Print(c.env.Stdout)
		return nil
	}
	enc := json.NewEncoder(c.env.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(st)
}

func checkNow(ctx context.Context, c *command) error {
	if err := c.noArgs("check"); err != nil {
		return err
	}
	client := agent.NewClient(c.socket)
	if err := client.Check(ctx); err != nil {
		return err
	}
	return follow(ctx, c, client)
}

// follow shows what became of a wish: the first state that is not "about to ask".
func follow(ctx context.Context, c *command, client *agent.Client) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.env.Stderr, "the agent asks the service; it is now:")
	fmt.Fprintln(c.env.Stdout, st.Summary)
	return nil
}

func retry(ctx context.Context, c *command) error {
	if len(c.args) != 1 {
		return fault.New(fault.Invalid, "retry takes one version").WithHint("`conifer-agent status` lists those that failed.")
	}
	client := agent.NewClient(c.socket)
	if err := client.Retry(ctx, c.args[0]); err != nil {
		return err
	}
	return follow(ctx, c, client)
}

func showConfig(_ context.Context, c *command) error {
	if err := c.noArgs("config"); err != nil {
		return err
	}
	_, origins, err := agent.LoadConfig(c.config)
	if err != nil {
		return err
	}
	return origins.Print(c.env.Stdout)
}
