package main

import (
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// releaseServiceVerbs are the verbs of `conifer release` that speak with the service.
func (c *command) releaseServiceVerbs() []*cobra.Command {
	return []*cobra.Command{
		c.releaseAdd(), c.releaseList(), c.releaseShow(), c.releaseHalt(),
		c.releaseChange("resume VERSION", "Let a halted release be offered again", "is offered again", (*client.Client).Resume),
		c.releaseChange("forget VERSION", "Remove a release that no channel points at; its files stay", "is forgotten", (*client.Client).ForgetRelease),
	}
}

func (c *command) releaseAdd() *cobra.Command {
	var r store.Release
	var t target
	var extra []string
	cmd := &cobra.Command{Use: "add --version V --url URL --file NAME --size N --sha256 HEX", Short: "Register a release whose files are somewhere already", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r.App, r.Arch = t.app, t.arch
			if r.Extra, err = parseExtra(extra); err != nil {
				return err
			}
			s, err := c.service()
			if err != nil {
				return err
			}
			if err := s.AddRelease(cmd.Context(), r); err != nil {
				return err
			}
			c.say("release %s of %s for %s is registered; no channel points at it by that", r.Version, r.App, r.Arch)
			return nil
		}}
	t.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.Version, "version", "", "version of the release")
	f.StringVar(&r.URL, "url", "", "URL of the folder of its files, or the folder below /v1/files/")
	f.StringVar(&r.File, "file", "", "name of the payload in it")
	f.Int64Var(&r.SizeBytes, "size", 0, "size of the payload in bytes")
	f.StringVar(&r.SHA256, "sha256", "", "sha256 of the payload in hex")
	f.StringArrayVar(&extra, "extra", nil, "a further file, NAME,SIZE,SHA256; may be repeated")
	f.StringVar(&r.Notes, "notes", "", "what is new, for people")
	return needs(cmd, "version", "url", "file", "size", "sha256")
}

func parseExtra(texts []string) ([]store.File, error) {
	var files []store.File
	for _, text := range texts {
		parts := strings.Split(text, ",")
		if len(parts) != 3 {
			return nil, fault.New(fault.Invalid, "--extra %q is not NAME,SIZE,SHA256", text)
		}
		size, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "--extra %q has size %q, not a number of bytes", text, parts[1])
		}
		files = append(files, store.File{Name: parts[0], SizeBytes: size, SHA256: parts[2]})
	}
	return files, nil
}

func (c *command) releaseList() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "list", Short: "List releases, the newest first", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			releases, err := s.Releases(cmd.Context(), t.app)
			if err != nil {
				return err
			}
			return c.show(releases, func(w io.Writer) {
				row(w, "VERSION", "ARCH", "CHANNELS", "STATE", "ADDED")
				for _, r := range releases {
					row(w, r.Version, r.Arch, strings.Join(r.Channels, " "), releaseState(r), r.Added)
				}
			})
		}}
	t.appFlag(cmd)
	return cmd
}

func releaseState(r admin.ReleaseStatus) string {
	if r.Halted {
		return "halted: " + r.HaltReason
	}
	return "ok"
}

func (c *command) releaseShow() *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: "show VERSION", Short: "Show one release, and what became of it", Args: takes("a VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			r, err := s.Release(cmd.Context(), t.app, t.arch, args[0])
			if err != nil {
				return err
			}
			return c.show(r, func(w io.Writer) { printRelease(w, r) })
		}}
	t.flags(cmd)
	return cmd
}

func printRelease(w io.Writer, r admin.ReleaseStatus) {
	row(w, "release", r.Version)
	row(w, "application", r.App)
	row(w, "architecture", r.Arch)
	row(w, "channels", strings.Join(r.Channels, " "))
	row(w, "state", releaseState(r))
	row(w, "added", r.Added)
	row(w, "files at", r.URL)
	for _, file := range append([]store.File{{Name: r.File, SizeBytes: r.SizeBytes, SHA256: r.SHA256}}, r.Extra...) {
		row(w, "file", file.Name+", "+cli.Bytes(file.SizeBytes)+", sha256 "+file.SHA256)
	}
	for _, b := range r.Barred {
		row(w, string(b.State), "machine "+b.Machine+" of group "+b.Group+": "+b.Reason)
	}
	if r.Notes != "" {
		row(w, "notes", r.Notes)
	}
}

func (c *command) releaseHalt() *cobra.Command {
	var reason string
	cmd := c.releaseChange("halt VERSION --reason TEXT", "Stop a release from being offered to anybody", "is halted",
		func(s *client.Client, ctx context.Context, app, arch, version string) error {
			return s.Halt(ctx, app, arch, version, reason)
		})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever finds it halted")
	return needs(cmd, "reason")
}

// releaseChange is a verb that changes one release; end says what it is afterwards.
func (c *command) releaseChange(use, short, end string, change func(s *client.Client, ctx context.Context, app, arch, version string) error) *cobra.Command {
	var t target
	cmd := &cobra.Command{Use: use, Short: short, Args: takes("a VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			if err := change(s, cmd.Context(), t.app, t.arch, args[0]); err != nil {
				return err
			}
			c.say("release %s of %s for %s %s", args[0], t.app, t.arch, end)
			return nil
		}}
	t.flags(cmd)
	return cmd
}
