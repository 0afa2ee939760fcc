package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
)

// planned is what `conifer apply` did, or would do.
type planned struct {
	Steps   []string `json:"steps"`
	Applied bool     `json:"applied"`
}

// applyFlags are how a file is to be applied.
type applyFlags struct {
	file               string
	dryRun, prune, yes bool
}

// applyNoun is `conifer apply`.
func applyNoun(c *command) *cobra.Command {
	var flags applyFlags
	verb := c.verb("apply -f FILE", "Make applications, channels and groups what a file says", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			want, err := c.readFleetFile(flags.file)
			if err != nil {
				return err
			}
			return c.apply(ctx, s, admin.Apply{Configuration: want, Prune: flags.prune}, flags)
		})
	verb.Long = "Make applications, channels and groups what a file says: the plan is shown first, then carried out as a whole or not at all.\n\n" +
		"What the file does not name is left alone, or with --prune removed. On a terminal you are asked before anything changes;\n" +
		"elsewhere --prune needs --yes. `conifer export` writes the file."
	f := verb.Flags()
	f.StringVarP(&flags.file, "file", "f", "", "the file, or - for standard input")
	f.BoolVar(&flags.dryRun, "dry-run", false, "show the plan, change nothing")
	f.BoolVar(&flags.prune, "prune", false, "remove channels and groups that the file does not name")
	f.BoolVar(&flags.yes, "yes", false, "do not ask")
	return needs(verb, "file")
}

func (c *command) readFleetFile(path string) (admin.Configuration, error) {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(c.env.Stdin)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return admin.Configuration{}, fault.New(fault.Invalid, "read the configuration: %w", err).WithHint("`conifer export --out fleet.toml` writes one.")
	}
	return parseFleetFile(path, string(text))
}

// apply asks for the plan, shows it, and has it carried out.
func (c *command) apply(ctx context.Context, s *client.Client, what admin.Apply, flags applyFlags) error {
	what.DryRun = true
	plan, err := s.Apply(ctx, what)
	if err != nil {
		return err
	}
	if flags.dryRun || len(plan.Steps) == 0 {
		return c.showPlan(planned{Steps: plan.Steps})
	}
	if !c.json {
		if err := c.showPlan(planned{Steps: plan.Steps}); err != nil {
			return err
		}
	}
	if err := c.confirm(flags); err != nil {
		return err
	}
	what.DryRun = false
	done, err := s.Apply(ctx, what)
	if err != nil {
		return err
	}
	return c.showApplied(plan, done)
}

func (c *command) showPlan(p planned) error {
	p.Steps = list(p.Steps)
	return c.show(p, func(w io.Writer) {
		for _, step := range p.Steps {
			fmt.Fprintln(w, step)
		}
		if len(p.Steps) == 0 {
			fmt.Fprintln(w, "nothing is to change")
		}
	})
}

// showApplied says what was done; it is the plan, unless somebody changed something meanwhile.
func (c *command) showApplied(plan, done admin.Applied) error {
	if c.json {
		return c.printJSON(planned{Steps: list(done.Steps), Applied: true})
	}
	if !slices.Equal(plan.Steps, done.Steps) {
		c.say("the service was changed meanwhile; this was done instead:")
		if err := c.showPlan(planned{Steps: done.Steps}); err != nil {
			return err
		}
	}
	c.say("applied, %d in all", len(done.Steps))
	return nil
}

// confirm asks a person at a terminal. Elsewhere nobody can be asked, and only what removes needs to have been confirmed.
func (c *command) confirm(flags applyFlags) error {
	if flags.yes {
		return nil
	}
	if flags.file == "-" || !c.env.Interactive() {
		if flags.prune {
			return fault.New(fault.Invalid, "--prune is not confirmed").WithHint("Look at the plan with --dry-run, then give --yes.")
		}
		return nil
	}
	fmt.Fprint(c.env.Stderr, "carry out this plan? [y/N] ")
	answer, _ := bufio.NewReader(c.env.Stdin).ReadString('\n') // an end of input is no yes
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return fault.New(fault.Canceled, "nothing was changed")
	}
	return nil
}
