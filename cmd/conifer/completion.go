package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/client"
)

// completionNoun is `conifer completion`: it replaces cobra's own, which speaks of shells that we do not try.
func completionNoun(c *command) *cobra.Command {
	write := map[string]func(root *cobra.Command, w io.Writer) error{
		"bash": func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":  func(root *cobra.Command, w io.Writer) error { return root.GenZshCompletion(w) },
		"fish": func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
	}
	how := map[string]string{
		"bash": "source <(conifer completion bash)",
		"zsh":  "source <(conifer completion zsh)",
		"fish": "conifer completion fish | source",
	}
	var shells []*cobra.Command
	for _, shell := range []string{"bash", "zsh", "fish"} {
		shells = append(shells, &cobra.Command{Use: shell, Short: "Print the completions for " + shell, Args: takes(),
			Long: "Print the completions for " + shell + ". In the file that your shell reads at its start:\n\n    " + how[shell] + "\n\n" +
				"Names of applications, groups, channels and releases are asked of the service; set CONIFER_SERVER and\n" +
				"CONIFER_TOKEN_FILE so that they are found without flags.",
			RunE: func(cmd *cobra.Command, _ []string) error { return write[shell](cmd.Root(), c.env.Stdout) }})
	}
	return parent("completion", "Completions for your shell", shells...)
}

// completionWait is how long the service may take to answer before a person at a prompt is left without names.
const completionWait = 3 * time.Second

// names lists what a word of a command line may be. app is what --app says.
type names func(ctx context.Context, s *client.Client, app string) ([]string, error)

// complete asks the service. Without an answer there are no names, and no error: a prompt is no place for one.
func (c *command) complete(list names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		s, err := c.service()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionWait)
		defer cancel()
		app := ""
		if flag := cmd.Flag("app"); flag != nil {
			app = flag.Value.String()
		}
		all, err := list(ctx, s, app)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var fitting []string
		for _, name := range all {
			if strings.HasPrefix(name, begun) {
				fitting = append(fitting, name)
			}
		}
		return fitting, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlag completes the value of a flag.
func (c *command) completeFlag(cmd *cobra.Command, flag string, list names) {
	must(cmd.RegisterFlagCompletionFunc(flag, c.complete(list)))
}

// completeWords completes the value of a flag that is one of a few words.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
}

// must ends on an error that only a mistake in this package can make: a flag that does not exist.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// completeFirst completes the first argument.
func (c *command) completeFirst(cmd *cobra.Command, list names) *cobra.Command {
	complete := c.complete(list)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, begun)
	}
	return cmd
}

func appNames(ctx context.Context, s *client.Client, _ string) (found []string, err error) {
	apps, err := s.Apps(ctx)
	for _, a := range apps {
		found = append(found, a.Name)
	}
	return found, err
}

func channelNames(ctx context.Context, s *client.Client, app string) (found []string, err error) {
	channels, err := s.Channels(ctx, app)
	for _, ch := range channels {
		found = append(found, ch.Name)
	}
	return found, err
}

func groupNames(ctx context.Context, s *client.Client, app string) (found []string, err error) {
	groups, err := s.Groups(ctx, app)
	for _, g := range groups {
		found = append(found, g.Name)
	}
	return found, err
}

func releaseVersions(ctx context.Context, s *client.Client, app string) (found []string, err error) {
	releases, err := s.Releases(ctx, app)
	seen := map[string]bool{}
	for _, r := range releases {
		if !seen[r.Version] {
			found = append(found, r.Version)
		}
		seen[r.Version] = true
	}
	return found, err
}

func tokenIDs(ctx context.Context, s *client.Client, _ string) (found []string, err error) {
	tokens, err := s.Tokens(ctx)
	for _, t := range tokens {
		found = append(found, t.ID)
	}
	return found, err
}
