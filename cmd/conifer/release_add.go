package main

import (
	"context"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// releaseFlags are a release as it is given on the command line.
type releaseFlags struct {
	store.Release
	target
	extra []string
}

func (c *command) releaseFlags(verb *cobra.Command, r *releaseFlags) {
	c.targetFlags(verb, &r.target)
	f := verb.Flags()
	f.StringVar(&r.Version, "version", "", "version of the release")
	f.StringVar(&r.URL, "url", "", "URL of the folder of its files, or the folder below /v1/files/")
	f.StringVar(&r.File, "file", "", "name of the payload in it")
	f.Int64Var(&r.SizeBytes, "size", 0, "size of the payload in bytes")
	f.StringVar(&r.SHA256, "sha256", "", "sha256 of the payload in hex")
	f.StringArrayVar(&r.extra, "extra", nil, "a further file, NAME,SIZE,SHA256; may be repeated")
	f.StringVar(&r.Notes, "notes", "", "what is new, for people")
	f.StringVar(&r.Floor, "floor", "", "why machines must not skip it")
	f.StringVar(&r.DeadEnd, "dead-end", "", "why machines that run it are not updated")
}

// read makes the record of the flags.
func (r *releaseFlags) read(fetch bool) (err error) {
	r.App, r.Arch = r.app, r.arch
	r.SHA256 = strings.ToLower(r.SHA256)
	r.Extra, err = parseExtra(r.extra, fetch)
	return err
}

func (c *command) releaseAdd() *cobra.Command {
	var r releaseFlags
	var deltas []string
	verb := c.verb("add --version V --url URL --file NAME --size N --sha256 HEX", "Register a release whose files are somewhere already", takes(),
		func(ctx context.Context, s *client.Client, _ []string) (err error) {
			if err := r.read(false); err != nil {
				return err
			}
			if r.Deltas, err = parseDeltas(deltas); err != nil {
				return err
			}
			return c.register(ctx, s, r.Release)
		})
	verb.Long = "Register a release whose files are somewhere already.\n\n" +
		"A release that is registered may be added again with more deltas; its other files never change."
	c.releaseFlags(verb, &r)
	verb.Flags().StringArrayVar(&deltas, "delta", nil, deltaUsage)
	return needs(verb, "version", "url", "file", "size", "sha256")
}

func (c *command) register(ctx context.Context, s *client.Client, r store.Release) error {
	if err := s.AddRelease(ctx, r); err != nil {
		return err
	}
	registered, err := s.Release(ctx, r.App, r.Arch, r.Version)
	if err != nil {
		return err
	}
	return c.done(registered, "release %s of %s for %s is registered; no channel points at it by that", r.Version, r.App, r.Arch)
}

func (c *command) releaseImport() *cobra.Command {
	var r releaseFlags
	var fetch bool
	verb := c.verb("import --version V --url URL --file NAME (--size N --sha256 HEX | --fetch)", "Register somebody else's release", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			if err := r.read(fetch); err != nil {
				return err
			}
			if fetch {
				if err := c.fetch(ctx, &r.Release); err != nil {
					return err
				}
			}
			if r.SizeBytes == 0 || r.SHA256 == "" {
				return fault.New(fault.Invalid, "size and sha256 of %s are not both given", r.File).
					WithHint("Give --size and --sha256 as the publisher states them, or --fetch to download the file and compute them.")
			}
			return c.register(ctx, s, r.Release)
		})
	verb.Long = "Register somebody else's release, whose files stay where they are.\n\n" +
		"Size and sha256 are in the publisher's own lists of digests; take them from there. With --fetch the files are\n" +
		"downloaded once to learn what is not given, and to compare with what is; that trusts the connection to --url."
	c.releaseFlags(verb, &r)
	verb.Flags().BoolVar(&fetch, "fetch", false, "download the files to learn their size and sha256; --extra NAME is enough then")
	return needs(verb, "version", "url", "file")
}

// parseExtra reads NAME,SIZE,SHA256; where a file will be fetched NAME is enough.
func parseExtra(texts []string, fetch bool) ([]store.File, error) {
	var files []store.File
	for _, text := range texts {
		parts := strings.Split(text, ",")
		if len(parts) == 1 && fetch {
			files = append(files, store.File{Name: text})
			continue
		}
		if len(parts) != 3 {
			return nil, fault.New(fault.Invalid, "--extra %q is not NAME,SIZE,SHA256", text).
				WithHint("For example --extra oem.raw,1048576,9f86d0…; with `conifer release import --fetch` the name is enough.")
		}
		size, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--extra %q has size %q, not a number of bytes", text, parts[1]).WithHint("Give the size without a unit.")
		}
		files = append(files, store.File{Name: parts[0], SizeBytes: size, SHA256: strings.ToLower(parts[2])})
	}
	return files, nil
}

func (c *command) releaseSet() *cobra.Command {
	var t target
	var notes, floor, deadEnd string
	var deltas, drop []string
	var verb *cobra.Command
	verb = c.verb("set VERSION [--notes TEXT] [--floor REASON] [--dead-end REASON]", `Change what is said of a release; "" takes it away`, takes("a VERSION"),
		func(ctx context.Context, s *client.Client, args []string) (err error) {
			patch := admin.ReleasePatch{DropDeltas: drop}
			if patch.AddDeltas, err = parseDeltas(deltas); err != nil {
				return err
			}
			if verb.Flags().Changed("notes") {
				patch.Notes = &notes
			}
			if verb.Flags().Changed("floor") {
				patch.Floor = &floor
			}
			if verb.Flags().Changed("dead-end") {
				patch.DeadEnd = &deadEnd
			}
			if reflect.ValueOf(patch).IsZero() {
				return fault.New(fault.Invalid, "nothing is to change").
					WithHint("Give --notes, --floor or --dead-end, --delta or --drop-delta; the other files of a release never change.")
			}
			if err := s.SetRelease(ctx, t.app, t.arch, args[0], patch); err != nil {
				return err
			}
			r, err := s.Release(ctx, t.app, t.arch, args[0])
			if err != nil {
				return err
			}
			return c.done(r, "release %s of %s for %s: %s", args[0], t.app, t.arch, releaseState(r))
		})
	c.targetFlags(verb, &t)
	f := verb.Flags()
	f.StringVar(&notes, "notes", "", "what is new, for people")
	f.StringVar(&floor, "floor", "", "why machines must not skip it")
	f.StringVar(&deadEnd, "dead-end", "", "why machines that run it are not updated")
	f.StringArrayVar(&deltas, "delta", nil, deltaUsage)
	f.StringSliceVar(&drop, "drop-delta", nil, "version from which there is to be no delta any more; may be repeated")
	return c.completeFirst(verb, releaseVersions)
}
