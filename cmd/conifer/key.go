package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/factory/sign"
)

// newKey is the noun key: what signs a repository.
func newKey(c *command) *cobra.Command {
	noun := &cobra.Command{Use: "key", Short: "Keep the keys that sign a repository"}
	noun.AddCommand(newKeyNew(c), newKeyRotate(c), newKeyShow(c))
	return noun
}

func newKeyNew(c *command) *cobra.Command {
	var out string
	var rootKeys int
	verb := &cobra.Command{
		Use:   "new --out FOLDER",
		Short: "Make the keys of a new repository",
		Long: "Make the keys of a new repository: Ed25519, one file each, readable by you alone.\n\n" +
			"Keep root and targets offline; snapshot and timestamp belong where `conifer repository refresh` runs.\n" +
			"With several root keys, `conifer repository init --root-threshold` says how many must sign.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := c.need(map[string]string{"out": out}); err != nil {
				return err
			}
			keys, err := sign.NewKeys(out, rootKeys)
			if err != nil {
				return err
			}
			return c.printKeys(keys, nil)
		},
	}
	verb.Flags().StringVar(&out, "out", "", "folder to make the keys in")
	verb.Flags().IntVar(&rootKeys, "root-keys", 1, "number of root keys")
	return verb
}

func newKeyRotate(c *command) *cobra.Command {
	var flags repositoryFlags
	verb := &cobra.Command{
		Use:   "rotate ROLE --repository FOLDER --keys FOLDER",
		Short: "Replace the keys of a role by new ones",
		Long: "Replace the keys of a role (root, targets, snapshot or timestamp) by new ones.\n\n" +
			"The new version of root is signed by the root keys before and after it; a machine follows the chain from\n" +
			"any version. The old keys go to the folder `retired`. Needs the root keys, those of the role if they are\n" +
			"not lost, and for other roles than root those of snapshot and timestamp. Upload the repository afterwards.",
		Args: oneArg("the role"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := flags.open(c)
			if err != nil {
				return err
			}
			view, err := r.Rotate(flags.keys, args[0])
			if err != nil {
				return err
			}
			return c.printView(r, view)
		},
	}
	flags.add(verb)
	return verb
}

func newKeyShow(c *command) *cobra.Command {
	var keyDir, dir string
	verb := &cobra.Command{
		Use:   "show --keys FOLDER [--repository FOLDER]",
		Short: "List keys, and whether a repository trusts them",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := c.need(map[string]string{"keys": keyDir}); err != nil {
				return err
			}
			keys, err := sign.OpenKeys(keyDir)
			if err != nil {
				return err
			}
			var trusted map[string][]string
			if dir != "" {
				r := &publish.Repository{Dir: dir, Now: time.Now()}
				if trusted, err = r.TrustedKeys(); err != nil {
					return err
				}
			}
			return c.printKeys(keys, trusted)
		},
	}
	verb.Flags().StringVar(&keyDir, "keys", "", "folder of the keys")
	verb.Flags().StringVar(&dir, "repository", "", "folder of a repository to compare with")
	return verb
}

// keyLine is one key as it is shown. Trusted is absent when there is no repository to ask.
type keyLine struct {
	Role    string `json:"role"`
	ID      string `json:"id"`
	File    string `json:"file,omitempty"`
	Trusted *bool  `json:"trusted,omitempty"`
}

// printKeys lists keys and, when trusted is not nil, those that a repository trusts but that are not here.
func (c *command) printKeys(keys []sign.Key, trusted map[string][]string) error {
	lines := keyLines(keys, trusted)
	if c.json {
		return c.printJSON(lines)
	}
	table := tabwriter.NewWriter(c.env.Stdout, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		state := ""
		switch {
		case l.Trusted == nil:
		case l.File == "":
			state = "not here"
		case *l.Trusted:
			state = "trusted"
		default:
			state = "not trusted"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", l.Role, l.ID, state, l.File)
	}
	return table.Flush()
}

func keyLines(keys []sign.Key, trusted map[string][]string) []keyLine {
	lines := []keyLine{}
	for _, role := range sign.Roles {
		here := map[string]bool{}
		for _, k := range keys {
			if k.Role != role {
				continue
			}
			here[k.ID] = true
			line := keyLine{Role: role, ID: k.ID, File: k.Path}
			if trusted != nil {
				is := slices.Contains(trusted[role], k.ID)
				line.Trusted = &is
			}
			lines = append(lines, line)
		}
		for _, id := range trusted[role] {
			if is := true; !here[id] {
				lines = append(lines, keyLine{Role: role, ID: id, Trusted: &is})
			}
		}
	}
	return lines
}
