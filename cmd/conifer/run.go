package main

import (
	"context"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
)

// nouns makes the commands below `conifer`, in the order of a release's path.
var nouns = []func(*command) *cobra.Command{
	imageNoun, keyNoun, repositoryNoun, releaseNoun, payloadNoun, appNoun, channelNoun, groupNoun, rolloutNoun, machineNoun,
	tokenNoun, activityNoun, applyNoun, exportNoun, backupNoun, completionNoun,
}

// command is what every noun works with: the world, and the flags that belong to all of them.
type command struct {
	env       cli.Env
	server    string // URL of the service
	tokenFile string // file with the admin token
	json      bool   // results as JSON on stdout
}

// Run executes one command line and returns its exit code.
func Run(ctx context.Context, env cli.Env) int {
	c := &command{env: env}
	var commands []*cobra.Command
	for _, noun := range nouns {
		commands = append(commands, noun(c))
	}
	root := parent("conifer", "Build, sign and roll out releases of the operating system of a fleet", commands...)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Wrap(fault.Invalid, err) })
	flags := root.PersistentFlags()
	flags.StringVar(&c.server, "server", c.setting("CONIFER_SERVER", "http://127.0.0.1:8000"), "URL of the service; also CONIFER_SERVER")
	flags.StringVar(&c.tokenFile, "token-file", c.setting("CONIFER_TOKEN_FILE", ""), "file that holds your token; also CONIFER_TOKEN_FILE")
	flags.BoolVar(&c.json, "json", false, "print results as JSON")
	root.CompletionOptions.DisableDefaultCmd = true
	used, err := root.ExecuteContextC(ctx)
	return env.Exit("conifer", advised(err, used))
}

// advised gives wrong usage that says nothing else a hint.
func advised(err error, used *cobra.Command) error {
	if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "" {
		return err
	}
	return fault.New(fault.Invalid, "%w", err).WithHint("`%s --help` shows what it takes.", used.CommandPath())
}

// setting is a default that an operator sets once for all commands.
func (c *command) setting(variable, otherwise string) string {
	if c.env.Getenv == nil || c.env.Getenv(variable) == "" {
		return otherwise
	}
	return c.env.Getenv(variable)
}
