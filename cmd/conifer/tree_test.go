package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"conifer.dev/conifer/internal/cli"
)

// verbs lists the command lines of all verbs, such as "group set".
func verbs(t *testing.T) (lines []string, commands map[string]*cobra.Command) {
	t.Helper()
	commands = map[string]*cobra.Command{}
	var walk func(cmd *cobra.Command, line string)
	walk = func(cmd *cobra.Command, line string) {
		line = strings.TrimSpace(line + " " + cmd.Name())
		for _, sub := range cmd.Commands() {
			walk(sub, line)
		}
		if !cmd.HasSubCommands() {
			lines = append(lines, line)
			commands[line] = cmd
		}
	}
	c := &command{}
	for _, noun := range nouns {
		walk(noun(c), "")
	}
	if len(lines) < 50 {
		t.Fatalf("found %d verbs: %v", len(lines), lines)
	}
	return lines, commands
}

func TestEveryVerbAndFlagSaysWhatItIs(t *testing.T) {
	lines, commands := verbs(t)
	for _, line := range lines {
		cmd := commands[line]
		if len(cmd.Short) < 10 || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("conifer %s is described as %q", line, cmd.Short)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if len(f.Usage) < 5 {
				t.Errorf("conifer %s --%s is described as %q", line, f.Name, f.Usage)
			}
		})
	}
}

// TestEveryVerbRefusesWhatItDoesNotTake says so as wrong usage, with what to do, before it asks the service for anything.
func TestEveryVerbRefusesWhatItDoesNotTake(t *testing.T) {
	lines, _ := verbs(t)
	for _, line := range lines {
		var out, talk bytes.Buffer
		args := append(strings.Fields(line), "one", "two", "three")
		code := Run(context.Background(), cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &talk})
		if code != 2 || out.Len() > 0 || !strings.Contains(talk.String(), "unexpected argument") || !strings.Contains(talk.String(), "hint: ") {
			t.Errorf("conifer %s one two three: exit code %d, stdout %q, stderr %q", line, code, out.String(), talk.String())
		}
	}
}
