package main

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/factory/sign"
)

// keyNoun is `conifer key`: what signs a repository.
func keyNoun(c *command) *cobra.Command {
	return parent("key", "Keep the keys that sign a repository", c.keyNew(), c.keyRotate(), c.keyShow())
}

func (c *command) keyNew() *cobra.Command {
	var out string
	var rootKeys int
	verb := &cobra.Command{
		Use:   "new --out FOLDER",
		Short: "Make the keys of a new repository",
		Long: "Make the keys of a new repository: Ed25519, one file each, readable by you alone.\n\n" +
			"Keep root and targets offline; snapshot and timestamp belong where `conifer repository refresh` runs.\n" +
			"With several root keys, `conifer repository init --root-threshold` says how many must sign.",
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			keys, err := sign.NewKeys(out, rootKeys)
			if err != nil {
				return err
			}
			return c.printKeys(keys, nil)
		},
	}
	verb.Flags().StringVar(&out, "out", "", "folder to make the keys in")
	verb.Flags().IntVar(&rootKeys, "root-keys", 1, "number of root keys")
	return needs(verb, "out")
}

func (c *command) keyRotate() *cobra.Command {
	var verb *cobra.Command
	verb = signing("rotate ROLE --repository FOLDER --keys FOLDER", "Replace the keys of a role by new ones",
		"Replace the keys of a role (root, targets, snapshot or timestamp) by new ones.\n\n"+
			"The new version of root is signed by the root keys before and after it; a machine follows the chain from\n"+
			"any version. The old keys go to the folder `retired`. Needs the root keys, those of the role if they are\n"+
			"not lost, and for other roles than root those of snapshot and timestamp. Upload the repository afterwards.",
		takes("the role"), func(_ context.Context, r *publish.Repository, args []string) error {
			view, err := r.Rotate(verb.Flag("keys").Value.String(), args[0])
			if err != nil {
				return err
			}
			return c.printView(r, view)
		})
	return verb
}

func (c *command) keyShow() *cobra.Command {
	var keyDir, dir string
	verb := &cobra.Command{
		Use:   "show --keys FOLDER [--repository FOLDER]",
		Short: "List keys, and whether a repository trusts them",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			keys, err := sign.OpenKeys(keyDir)
			if err != nil {
				return err
			}
			var trusted map[string][]string
			if dir != "" {
				if trusted, err = toRead(dir).TrustedKeys(); err != nil {
					return err
				}
			}
			return c.printKeys(keys, trusted)
		},
	}
	verb.Flags().StringVar(&keyDir, "keys", "", "folder of the keys")
	verb.Flags().StringVar(&dir, "repository", "", "folder of a repository to compare with")
	return needs(verb, "keys")
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
	return c.show(lines, func(w io.Writer) {
		for _, l := range lines {
			row(w, l.Role, l.ID, l.state(), l.File)
		}
	})
}

// state says in words whether a key is trusted.
func (l keyLine) state() string {
	switch {
	case l.Trusted == nil:
		return ""
	case l.File == "":
		return "not here"
	case *l.Trusted:
		return "trusted"
	}
	return "not trusted"
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
