package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
	"conifer.dev/conifer/internal/wire/release"
)

// madeFlags say what a payload is to be made of.
type madeFlags struct {
	from, to, out, level string
	app, arch            string
	version, fromVersion string
}

func (c *command) payloadMake() *cobra.Command {
	var f madeFlags
	verb := &cobra.Command{
		Use:   "make [--from OLD] --to NEW --out FILE",
		Short: "Make a payload: full, or with --from a delta",
		Long: "Make a payload: full, or with --from a delta. OLD and NEW are image folders, release folders, or any two files.\n\n" +
			"It is applied and compared with NEW, bit for bit, before it appears. Beside it goes a report, FILE.json, of which\n" +
			"files its bytes are for; `conifer payload inspect` shows it.",
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.makePayload(cmd.Context(), f) },
	}
	flags := verb.Flags()
	flags.StringVar(&f.from, "from", "", "what machines hold that the delta is for")
	flags.StringVar(&f.to, "to", "", "what they shall hold")
	flags.StringVar(&f.out, "out", "", "file to write")
	flags.StringVar(&f.app, "app", "file", "application that the payload names, where NEW is a file")
	flags.StringVar(&f.arch, "arch", "all", "architecture that it names, where NEW is a file")
	flags.StringVar(&f.version, "version", "1", "version that it names, where NEW is a file")
	flags.StringVar(&f.fromVersion, "from-version", "0", "version that it is from, where OLD is a file")
	flags.StringVar(&f.level, "level", "best", "compression of what is no delta: fast, default, better or best")
	completeWords(verb, "level", levelNames...)
	return needs(verb, "to", "out")
}

func (c *command) makePayload(ctx context.Context, f madeFlags) error {
	level, err := parseLevel(f.level)
	if err != nil {
		return err
	}
	for name, version := range map[string]string{"version": f.version, "from-version": f.fromVersion} {
		if !release.ValidVersion(version) {
			return fault.New(fault.Invalid, "--%s is %q, which is not of the form 1.2.3", name, version)
		}
	}
	to, err := pack.OpenSubject(f.to)
	if err != nil {
		return err
	}
	o := pack.Options{
		App: cmp.Or(to.App, f.app), Arch: cmp.Or(to.Arch, f.arch), Version: cmp.Or(to.Version, f.version), Level: level, Report: true,
	}
	if f.from == "" {
		err = c.makeFull(ctx, to, f.out, o)
	} else {
		err = c.makeDelta(ctx, to, f, o)
	}
	if err != nil {
		return err
	}
	m, err := readManifest(f.out)
	if err != nil {
		return err
	}
	p := summary(m, nil)
	return c.show(p, func(w io.Writer) {
		p.print(w)
		fmt.Fprintf(w, "%s: %s, %s of what it writes\n", f.out, cli.Bytes(m.DataSizeBytes()), percent(share64(m.DataSizeBytes(), sizeOf(m))))
	})
}

func sizeOf(m *payload.Manifest) (sum int64) {
	for _, t := range m.Targets {
		sum += t.SizeBytes
	}
	return sum
}

func (c *command) makeFull(ctx context.Context, to *pack.Subject, out string, o pack.Options) error {
	count, end := c.step("make payload", 2*to.SizeBytes()) // written and proven
	defer end()
	o.Count = count
	_, err := pack.Make(ctx, to.Sources, out, o)
	return err
}

func (c *command) makeDelta(ctx context.Context, to *pack.Subject, f madeFlags, o pack.Options) error {
	from, err := pack.OpenSubject(f.from)
	if err != nil {
		return err
	}
	if from.App != to.App || from.Arch != to.Arch {
		return fault.New(fault.Invalid, "%s is of %q for %q, %s of %q for %q", f.from, from.App, from.Arch, f.to, to.App, to.Arch).
			WithHint("A delta is between two versions of one application, or between two files.")
	}
	count, end := c.step("make delta", 3*to.SizeBytes()) // found, written and proven
	defer end()
	o.Count = count
	_, err = pack.MakeDelta(ctx, from.Sources, to.Sources, f.out, pack.DeltaOptions{Options: o, From: cmp.Or(from.Version, f.fromVersion)})
	return err
}
