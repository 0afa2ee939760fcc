package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/memory"
	"conifer.dev/conifer/internal/wire/payload"
)

func (c *command) payloadApply() *cobra.Command {
	var from, file, out string
	verb := &cobra.Command{
		Use:   "apply [--from OLD] --payload FILE --out NEW",
		Short: "Write what a payload makes, as a machine does",
		Long: "Write what a payload makes, as a machine does: in a stream, with the data of one operation in memory, every digest\n" +
			"compared. OLD is what a delta is from: an image folder, a release folder, or a file. NEW is a file when the payload\n" +
			"has one target, else a folder to make with one file for each; it appears when it is whole.",
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.applyPayload(cmd.Context(), from, file, out) },
	}
	verb.Flags().StringVar(&from, "from", "", "what a delta is from")
	verb.Flags().StringVar(&file, "payload", "", "the payload")
	verb.Flags().StringVar(&out, "out", "", "file or folder to make")
	return needs(verb, "payload", "out")
}

func (c *command) applyPayload(ctx context.Context, from, file, out string) error {
	// It takes the memory of a machine and not that of a workstation, as far as the kernel lets it.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memory.LimitBytes))
	_ = memory.Spare()
	m, err := readManifest(file)
	if err != nil {
		return err
	}
	olds, closeOlds, err := openOlds(from, m)
	if err != nil {
		return err
	}
	defer closeOlds()
	place, err := newPlace(out)
	if err != nil {
		return err
	}
	defer place.clear()
	count, end := c.step("apply "+file, sizeOf(m))
	defer end()
	m, sums, err := pack.Apply(ctx, file, olds, place.open, count)
	if err != nil {
		return err
	}
	if err := place.finish(len(m.Targets) == 1); err != nil {
		return err
	}
	end()
	return c.printPayload(m, sums)
}

// openOlds opens what a payload is from. A full payload is from nothing, and a delta must have it.
func openOlds(from string, m *payload.Manifest) (pack.Olds, func(), error) {
	if m.From == "" {
		return pack.Olds{}, func() {}, nil
	}
	if from == "" {
		return nil, nil, fault.New(fault.Invalid, "the payload is a delta from %s", m.From).WithHint("Give the image, release or file with --from.")
	}
	subject, err := pack.OpenSubject(from)
	if err != nil {
		return nil, nil, err
	}
	if subject.Version != "" && subject.Version != m.From {
		return nil, nil, fault.New(fault.Invalid, "the payload is a delta from %s, and %s holds %s", m.From, from, subject.Version)
	}
	return pack.OpenOlds(subject.Sources)
}

// place is where targets are written, until all of them are right.
type place struct {
	out, aside string
	files      []*os.File
}

func newPlace(out string) (*place, error) {
	if _, err := os.Lstat(out); err == nil {
		return nil, fault.New(fault.Conflict, "%s exists already", out).WithHint("Remove it, or choose another name.")
	}
	aside, err := os.MkdirTemp(filepath.Dir(out), "."+filepath.Base(out)+"-*")
	return &place{out: out, aside: aside}, err
}

func (p *place) open(t payload.Target) (io.Writer, error) {
	f, err := os.Create(filepath.Join(p.aside, t.Name))
	if err == nil {
		p.files = append(p.files, f)
	}
	return f, err
}

// clear takes away what was not finished.
func (p *place) clear() {
	for _, f := range p.files {
		f.Close()
	}
	os.RemoveAll(p.aside)
}

// finish makes what was written durable and gives it its name.
func (p *place) finish(alone bool) error {
	for _, f := range p.files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	from := p.aside
	if alone {
		from = p.files[0].Name()
	} else if err := os.Chmod(p.aside, 0o755); err != nil {
		return err
	}
	if err := os.Rename(from, p.out); err != nil {
		return err
	}
	return pack.SyncFolder(filepath.Dir(p.out))
}

func (c *command) payloadVerify() *cobra.Command {
	var from string
	verb := &cobra.Command{
		Use:   "verify FILE [--from OLD]",
		Short: "Decode a whole payload as a machine does, and show the digests of what it writes",
		Long: "Decode a whole payload as a machine does, write it nowhere, and show the digests of what it would write. Of a delta\n" +
			"without --from only the digests of the data are compared.",
		Args: takes("the payload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readManifest(args[0])
			if err != nil {
				return err
			}
			var olds pack.Olds
			if from != "" {
				opened, closeOlds, err := openOlds(from, m)
				if err != nil {
					return err
				}
				defer closeOlds()
				olds = opened
			}
			count, end := c.step("verify "+args[0], sizeOf(m))
			m, sums, err := pack.Verify(cmd.Context(), args[0], olds, count)
			end()
			if err != nil {
				return err
			}
			return c.printPayload(m, sums)
		},
	}
	verb.Flags().StringVar(&from, "from", "", "what a delta is from: an image folder, a release folder, or a file")
	return verb
}
