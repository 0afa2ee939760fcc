package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/payload"
)

// payloadNoun is `conifer payload`: the file that a machine downloads.
func payloadNoun(c *command) *cobra.Command {
	return parent("payload", "Make, apply and look into the files that machines download",
		c.payloadMake(), c.payloadInspect(), c.payloadApply(), c.payloadVerify())
}

// targetLine is one target as it is shown.
type targetLine struct {
	Name          string         `json:"name"`
	SizeBytes     int64          `json:"size_bytes"`
	DataSizeBytes int64          `json:"data_size_bytes"`
	Ops           map[string]int `json:"ops"`              // number of operations by kind
	SHA256        string         `json:"sha256,omitempty"` // only after it was decoded
}

// payloadLine is a payload as it is shown.
type payloadLine struct {
	App     string          `json:"app"`
	Arch    string          `json:"arch"`
	Version string          `json:"version"`
	From    string          `json:"from,omitempty"`
	Targets []targetLine    `json:"targets"`
	Files   []pack.FileCost `json:"files,omitempty"` // only where there is a report
}

func summary(m *payload.Manifest, sums map[string]string) payloadLine {
	p := payloadLine{App: m.App, Arch: m.Arch, Version: m.Version, From: m.From}
	for _, t := range m.Targets {
		line := targetLine{Name: t.Name, SizeBytes: t.SizeBytes, Ops: map[string]int{}, SHA256: sums[t.Name]}
		for _, op := range t.Ops {
			line.Ops[op.Kind]++
			line.DataSizeBytes += op.DataSizeBytes
		}
		p.Targets = append(p.Targets, line)
	}
	return p
}

func (p *payloadLine) print(w io.Writer) {
	what := fmt.Sprintf("%s %s for %s", p.App, p.Version, p.Arch)
	if p.From != "" {
		what += ", a delta from " + p.From
	}
	fmt.Fprintln(w, what)
	row(w, "target", "size", "data", payload.KindDelta, payload.KindZstd, payload.KindRaw, payload.KindZero, "sha256")
	for _, t := range p.Targets {
		row(w, t.Name, cli.Bytes(t.SizeBytes), cli.Bytes(t.DataSizeBytes), t.Ops[payload.KindDelta],
			t.Ops[payload.KindZstd], t.Ops[payload.KindRaw], t.Ops[payload.KindZero], t.SHA256)
	}
}

func (c *command) printPayload(m *payload.Manifest, sums map[string]string) error {
	p := summary(m, sums)
	return c.show(p, p.print)
}

// inspectFlags are what `conifer payload inspect` shows.
type inspectFlags struct {
	ops     bool
	files   int
	picture string
}

func (c *command) payloadInspect() *cobra.Command {
	var flags inspectFlags
	verb := &cobra.Command{
		Use:   "inspect FILE [--files N] [--picture FILE.svg]",
		Short: "Show what a payload would write, and which files its bytes are for",
		Long: "Show what a payload would write, from its manifest; and which files its bytes are for, from the report that\n" +
			"`conifer payload make` and `conifer release create` leave beside it (FILE.json). Where an operation writes parts of\n" +
			"several files, each has a share by its bytes: of a delta that is so for what is small, of a full payload for all.",
		Args: takes("the payload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := readManifest(args[0])
			if err != nil {
				return err
			}
			if flags.ops {
				return c.printOps(m)
			}
			return c.inspect(cmd, args[0], m, flags)
		},
	}
	verb.Flags().BoolVar(&flags.ops, "ops", false, "list every operation")
	verb.Flags().IntVar(&flags.files, "files", 20, "how many files to list, the costliest first; 0 for all")
	verb.Flags().StringVar(&flags.picture, "picture", "", "draw what costs how much as an SVG into this file")
	return verb
}

func readManifest(path string) (*payload.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := pack.ReadManifest(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

func (c *command) inspect(cmd *cobra.Command, path string, m *payload.Manifest, flags inspectFlags) error {
	sum, err := pack.Digest(cmd.Context(), path, func(int64) {})
	if err != nil {
		return err
	}
	report, err := pack.ReadReport(path, sum)
	if fault.Is(err, fault.NotFound) && flags.picture == "" && !cmd.Flags().Changed("files") {
		return c.printPayload(m, nil)
	}
	if err != nil {
		return err
	}
	if flags.picture != "" {
		if err := drawReport(flags.picture, report); err != nil {
			return err
		}
	}
	line := summary(m, nil)
	line.Files = report.Files
	return c.show(line, func(w io.Writer) {
		line.print(w)
		printCosts(w, report, flags.files)
	})
}

// opLine is one operation as it is shown.
type opLine struct {
	Target        string `json:"target"`
	Offset        int64  `json:"offset"`
	SizeBytes     int64  `json:"size_bytes"`
	Kind          string `json:"kind"`
	DataOffset    int64  `json:"data_offset"`
	DataSizeBytes int64  `json:"data_size_bytes"`
	SHA256        string `json:"sha256,omitempty"`
}

func (c *command) printOps(m *payload.Manifest) error {
	lines := []opLine{}
	for _, t := range m.Targets {
		for _, op := range t.Ops {
			lines = append(lines, opLine{op.Target, op.Offset, op.SizeBytes, op.Kind, op.DataOffset, op.DataSizeBytes, op.SHA256})
		}
	}
	return c.show(lines, func(w io.Writer) {
		row(w, "target", "offset", "bytes", "kind", "data at", "bytes", "sha256")
		for _, l := range lines {
			row(w, l.Target, l.Offset, l.SizeBytes, l.Kind, l.DataOffset, l.DataSizeBytes, fmt.Sprintf("%.16s", l.SHA256))
		}
	})
}
