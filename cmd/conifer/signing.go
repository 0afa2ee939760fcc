package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/factory/sign"
)

// repositoryFlags are those of every verb that signs.
type repositoryFlags struct {
	dir, keys string
	validity  publish.Validity
}

func (f *repositoryFlags) add(verb *cobra.Command) {
	verb.Flags().StringVar(&f.dir, "repository", "", "folder of the repository")
	verb.Flags().StringVar(&f.keys, "keys", "", "folder of the keys")
	f.validity = publish.Defaults
	verb.Flags().DurationVar(&f.validity.Timestamp, "timestamp-valid", publish.Defaults.Timestamp,
		"how long machines accept the repository without `conifer repository refresh`")
}

// open finds the repository and the keys; the repository may not exist yet.
func (f *repositoryFlags) open() (*publish.Repository, error) {
	keys, err := sign.OpenKeys(f.keys)
	if err != nil {
		return nil, err
	}
	return &publish.Repository{Dir: f.dir, Keys: keys, Now: time.Now(), Validity: f.validity}, nil
}

// signing makes a verb that works on a repository with the keys that sign it.
func signing(use, short, long string, args cobra.PositionalArgs, do func(ctx context.Context, r *publish.Repository, args []string) error) *cobra.Command {
	var flags repositoryFlags
	verb := &cobra.Command{Use: use, Short: short, Long: long, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := flags.open()
			if err != nil {
				return err
			}
			return do(cmd.Context(), r, args)
		}}
	flags.add(verb)
	return needs(verb, "repository", "keys")
}
