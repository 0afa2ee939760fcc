package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/internal/wire/payload"
)

// payloadNoun is `conifer payload`: the file that a machine downloads.
func payloadNoun(c *command) *cobra.Command {
	return parent("payload", "Look into the files that machines download", c.payloadInspect(), c.payloadVerify())
}

// targetLine is one target as it is shown.
type targetLine struct {
	Name          string         `json:"name"`
	SizeBytes     int64          `json:"size_bytes"`
	DataSizeBytes int64          `json:"data_size_bytes"`
	Ops           map[string]int `json:"ops"`              // number of operations by kind
	SHA256        string         `json:"sha256,omitempty"` // only after verify
}

// payloadLine is a payload as it is shown.
type payloadLine struct {
	App     string       `json:"app"`
	Arch    string       `json:"arch"`
	Version string       `json:"version"`
	Targets []targetLine `json:"targets"`
}

func summary(m *payload.Manifest, sums map[string]string) payloadLine {
	p := payloadLine{App: m.App, Arch: m.Arch, Version: m.Version}
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

func (c *command) printPayload(m *payload.Manifest, sums map[string]string) error {
	p := summary(m, sums)
	return c.show(p, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s for %s\n", p.App, p.Version, p.Arch)
		row(w, "target", "size", "data", "zstd", "raw", "zero", "sha256")
		for _, t := range p.Targets {
			row(w, t.Name, cli.Bytes(t.SizeBytes), cli.Bytes(t.DataSizeBytes),
				t.Ops[payload.KindZstd], t.Ops[payload.KindRaw], t.Ops[payload.KindZero], t.SHA256)
		}
	})
}

func (c *command) payloadInspect() *cobra.Command {
	var ops bool
	verb := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a payload would write, from its manifest alone",
		Args:  takes("the payload"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			m, err := pack.ReadManifest(f)
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			if ops {
				return c.printOps(m)
			}
			return c.printPayload(m, nil)
		},
	}
	verb.Flags().BoolVar(&ops, "ops", false, "list every operation")
	return verb
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

func (c *command) payloadVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Decode a whole payload as a machine does, and show the digests of what it writes",
		Args:  takes("the payload"),
		RunE: func(cmd *cobra.Command, args []string) error {
			count, end := c.step("verify "+args[0], 0)
			m, sums, err := pack.Verify(cmd.Context(), args[0], nil, count)
			end()
			if err != nil {
				return err
			}
			return c.printPayload(m, sums)
		},
	}
}
