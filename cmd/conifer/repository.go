package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/wire/trust"
)

// repositoryNoun is `conifer repository`: a folder of signed releases.
func repositoryNoun(c *command) *cobra.Command {
	return parent("repository", "Keep a repository of signed releases", c.repositoryInit(), c.repositoryRefresh(), c.repositoryShow(), c.repositoryUpload())
}

func (c *command) repositoryInit() *cobra.Command {
	var threshold int
	verb := signing("init --repository FOLDER --keys FOLDER", "Make an empty repository and its root of trust",
		"Make an empty repository and its root of trust, metadata/1.root.json, which belongs into images.\n\n"+
			"Signatures are in force for: root 365 days, targets 90 (renewed by each publication), snapshot 30,\n"+
			"timestamp 7 (both renewed by `conifer repository refresh`, daily).",
		takes(), func(_ context.Context, r *publish.Repository, _ []string) error {
			if err := publish.Init(r, threshold); err != nil {
				return err
			}
			view, err := r.Check(r.Now)
			if err != nil {
				return err
			}
			return c.printView(r, view)
		})
	verb.Flags().IntVar(&threshold, "root-threshold", 1, "how many root keys must sign a root")
	return verb
}

func (c *command) repositoryRefresh() *cobra.Command {
	var root, targets, upload bool
	verb := signing("refresh --repository FOLDER --keys FOLDER [--upload]", "Sign snapshot and timestamp again before they expire", "",
		takes(), func(ctx context.Context, r *publish.Repository, _ []string) error {
			view, err := r.Refresh(root, targets)
			if err != nil {
				return err
			}
			if upload {
				if err := c.upload(ctx, r); err != nil {
					return err
				}
			}
			return c.printView(r, view)
		})
	verb.Flags().BoolVar(&root, "root", false, "sign root again too, with the same keys")
	verb.Flags().BoolVar(&targets, "targets", false, "sign targets again too")
	verb.Flags().BoolVar(&upload, "upload", false, "send it to the service at --server")
	return verb
}

func (c *command) repositoryShow() *cobra.Command {
	var dir string
	verb := &cobra.Command{
		Use:   "show --repository FOLDER",
		Short: "Verify a repository as machines do, and list its releases",
		Args:  takes(),
		RunE: func(*cobra.Command, []string) error {
			r := toRead(dir)
			view, err := r.Check(r.Now)
			if err != nil {
				return err
			}
			return c.printView(r, view)
		},
	}
	verb.Flags().StringVar(&dir, "repository", "", "folder of the repository")
	return needs(verb, "repository")
}

func (c *command) repositoryUpload() *cobra.Command {
	var dir string
	verb := &cobra.Command{
		Use:   "upload --repository FOLDER",
		Short: "Send to the service what it lacks of a repository, and register its releases",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.uploadAll(cmd.Context(), toRead(dir))
		},
	}
	verb.Flags().StringVar(&dir, "repository", "", "folder of the repository")
	return needs(verb, "repository")
}

func (c *command) uploadAll(ctx context.Context, r *publish.Repository) error {
	view, err := r.Check(r.Now)
	if err != nil {
		return err
	}
	releases, err := r.Releases(view)
	if err != nil {
		return err
	}
	if err := c.upload(ctx, r, releases...); err != nil {
		return err
	}
	return c.printView(r, view)
}

// toRead is a repository without keys.
func toRead(dir string) *publish.Repository {
	return &publish.Repository{Dir: dir, Now: time.Now()}
}

func (c *command) printView(r *publish.Repository, view *trust.View) error {
	result := struct {
		RootVersion    int64     `json:"root_version"`
		TargetsVersion int64     `json:"targets_version"`
		Expires        time.Time `json:"expires"`
		Targets        []string  `json:"targets"`
	}{view.RootVersion, view.TargetsVersion, view.Expires, view.Paths()}
	return c.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: root version %d, targets version %d, in force until %s\n",
			r.Dir, view.RootVersion, view.TargetsVersion, view.Expires.Format(time.RFC3339))
		for _, path := range view.Paths() {
			fmt.Fprintln(w, path)
		}
	})
}
