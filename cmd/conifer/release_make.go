package main

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/factory/publish"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/release"
)

func (c *command) releaseCreate() *cobra.Command {
	var image, out, level string
	var deltaFrom []string
	verb := &cobra.Command{
		Use:   "create --image FOLDER --out FOLDER [--delta-from RELEASE_FOLDER]",
		Short: "Make a release folder, with its payloads, from an image folder",
		Long: "Make a release folder, with its payload, from an image folder; and a delta for each release folder that is named.\n\n" +
			"Every payload is applied and compared before the folder appears. The time of creation is\n" +
			"SOURCE_DATE_EPOCH when that is set, else the image's: equal images give equal releases.",
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			speed, err := parseLevel(level)
			if err != nil {
				return err
			}
			created, err := c.created()
			if err != nil {
				return err
			}
			r, err := pack.CreateRelease(cmd.Context(), image, out, deltaFrom, created, pack.DeltaOptions{Options: pack.Options{Level: speed, Report: true}}, c.step)
			if err != nil {
				return err
			}
			return c.printRelease(r, out)
		},
	}
	verb.Flags().StringVar(&image, "image", "", "image folder, from `conifer image build`")
	verb.Flags().StringVar(&out, "out", "", "folder to make for the release")
	verb.Flags().StringVar(&level, "level", "best", "compression of the payload: fast, default, better or best")
	completeWords(verb, "level", levelNames...)
	verb.Flags().StringArrayVar(&deltaFrom, "delta-from", nil, "release folder from which there shall be a delta; may be repeated")
	return needs(verb, "image", "out")
}

var levelNames = []string{"fast", "default", "better", "best"}

func parseLevel(name string) (zstd.EncoderLevel, error) {
	levels := map[string]zstd.EncoderLevel{
		"fast": zstd.SpeedFastest, "default": zstd.SpeedDefault, "better": zstd.SpeedBetterCompression, "best": zstd.SpeedBestCompression,
	}
	level, ok := levels[name]
	if !ok {
		return 0, fault.New(fault.Invalid, "--level is %q, want fast, default, better or best", name)
	}
	return level, nil
}

// created is the time that a release states; zero for its image's.
func (c *command) created() (time.Time, error) {
	epoch := c.env.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fault.New(fault.Invalid, "SOURCE_DATE_EPOCH is %q, want seconds since 1970", epoch)
	}
	return time.Unix(seconds, 0), nil
}

func (c *command) printRelease(r *release.Release, folder string) error {
	return c.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s for %s in %s\n", r.App, r.Version, r.Arch, folder)
		for _, a := range r.Artifacts {
			row(w, a.Kind, cli.Bytes(a.SizeBytes), a.Name)
		}
	})
}

func (c *command) releasePublish() *cobra.Command {
	var downgradeFrom []string
	var deltas deltaFlags
	var upload bool
	verb := signing("publish FOLDER --repository FOLDER --keys FOLDER [--upload]", "Sign a release into a repository, and bring it to the service",
		"Sign a release into a repository with the keys of targets, snapshot and timestamp. It gets deltas from the last releases of the\n"+
			"repository, and from those that --delta-from names; they are made from the roots and kernels that the repository holds.\n\n"+
			"With --upload it also gets deltas from every release that a channel of the service points at and from every floor; what the\n"+
			"service lacks is sent to it, and the release is registered there; no channel points at it yet. Publishing a release twice\n"+
			"changes nothing; another release of a published version is refused.",
		takes("the release folder"), func(ctx context.Context, r *publish.Repository, args []string) error {
			rel, _, err := pack.ReadRelease(args[0])
			if err != nil {
				return err
			}
			order, err := c.order(ctx, r, rel, deltas, upload)
			if err != nil {
				return err
			}
			order.DowngradeFrom = downgradeFrom
			p, err := r.Publish(ctx, args[0], order, c.step)
			if err != nil {
				return err
			}
			return c.bring(ctx, r, p, upload)
		})
	c.deltaFlags(verb, &deltas)
	verb.Flags().StringSliceVar(&downgradeFrom, "downgrade-from", nil, "version from which machines may go back to this release (repeatable)")
	verb.Flags().BoolVar(&upload, "upload", false, "send it to the service at --server and register it there")
	return verb
}

// bring uploads what was published, where that is asked for, and says what was done.
func (c *command) bring(ctx context.Context, r *publish.Repository, p *publish.Published, upload bool) error {
	if upload {
		if err := c.upload(ctx, r, p.Release); err != nil {
			return err
		}
	}
	return c.printPublished(r, p, upload)
}

func (c *command) printPublished(r *publish.Repository, p *publish.Published, uploaded bool) error {
	deltas, err := r.Deltas(p.View, p.Release)
	if err != nil {
		return err
	}
	result := struct {
		Target         string          `json:"target"`
		Changed        bool            `json:"changed"`
		Uploaded       bool            `json:"uploaded"`
		TargetsVersion int64           `json:"targets_version"`
		Expires        time.Time       `json:"expires"`
		Deltas         []release.Delta `json:"deltas"`
	}{p.Path, p.Changed, uploaded, p.View.TargetsVersion, p.View.Expires, list(deltas)}
	what := "published"
	if !p.Changed {
		what = "published before"
	}
	if uploaded {
		what += " and uploaded"
	}
	return c.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\nsignatures are in force until %s\n", p.Path, what, p.View.Expires.Format(time.RFC3339))
		for _, d := range deltas {
			row(w, "delta from "+d.From, cli.Bytes(d.SizeBytes), percent(share64(d.SizeBytes, p.Release.Payload.SizeBytes))+" of the full payload")
		}
	})
}

// upload brings the repository to the service, and registers releases there.
func (c *command) upload(ctx context.Context, r *publish.Repository, releases ...*release.Release) error {
	token, err := client.ReadToken(c.tokenFile)
	if err != nil {
		return err
	}
	if err := r.Upload(ctx, publish.NewClient(c.server, token), c.step); err != nil {
		return err
	}
	service, err := c.service()
	if err != nil {
		return err
	}
	view, err := r.Check(r.Now)
	if err != nil {
		return err
	}
	for _, rel := range releases {
		deltas, err := publishedDeltas(r.Dir, view, rel)
		if err != nil {
			return err
		}
		if err := service.AddRelease(ctx, registration(rel, deltas)); err != nil {
			return fmt.Errorf("register release %s: %w", rel.Version, err)
		}
	}
	return nil
}

// registration is what the service learns of a release; a relative URL is below its own /v1/files/.
func registration(r *release.Release, deltas []store.Delta) store.Release {
	return store.Release{
		App: r.App, Arch: r.Arch, Version: r.Version, URL: path.Join(r.App, r.Arch, r.Version) + "/",
		File: r.Payload.Name, SizeBytes: r.Payload.SizeBytes, SHA256: r.Payload.SHA256, Notes: r.Notes, Deltas: deltas,
	}
}

// step shows one step of long work on stderr.
func (c *command) step(name string, totalBytes int64) (count func(bytes int64), end func()) {
	p := cli.NewProgress(c.env.Stderr, name, totalBytes)
	return p.Add, p.End
}
