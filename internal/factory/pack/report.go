package pack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// ReportSuffix is what the name of a report has after that of its payload. Reports are for people, and are not published.
const ReportSuffix = ".json"

// Report says which files of a payload's targets its data are for.
type Report struct {
	SHA256        string     `json:"sha256"` // of the payload
	App           string     `json:"app"`
	Arch          string     `json:"arch"`
	Version       string     `json:"version"`
	From          string     `json:"from,omitempty"`
	DataSizeBytes int64      `json:"data_size_bytes"` // of all files together
	Files         []FileCost `json:"files"`           // the costliest first
}

// FileCost is what one file of a target takes of a payload's data. Where an operation writes parts of several files, each has a share
// by its bytes.
type FileCost struct {
	Target        string `json:"target"`
	Path          string `json:"path"`          // "" for what is in no file, and for shares of less than a byte
	Old           string `json:"old,omitempty"` // the file it was made from, where that has another name
	SizeBytes     int64  `json:"size_bytes"`
	DataSizeBytes int64  `json:"data_size_bytes"`
}

// ReadReport reads the report beside a payload; NotFound when there is none, and Invalid when it is of another payload.
func ReadReport(payload, sha256 string) (*Report, error) {
	text, err := os.ReadFile(payload + ReportSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no %s", payload+ReportSuffix).
			WithHint("`conifer payload make` and `conifer release create` write it. A published payload has none.")
	}
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fault.New(fault.Invalid, "parse %s: %w", payload+ReportSuffix, err)
	}
	if r.SHA256 != sha256 {
		return nil, fault.New(fault.Invalid, "%s is of another payload, %s", payload+ReportSuffix, r.SHA256)
	}
	return r, nil
}

// cost is what a part of a target took.
type cost struct {
	offset, sizeBytes, dataBytes int64
}

// costs are those of one target, in order and without a gap.
type costs struct {
	Source
	parts []cost
	old   map[string]string // new path to old path
}

// writeReport writes what the targets cost beside the payload.
func writeReport(path string, made *release.Payload, o Options, from string, targets []costs) error {
	r := &Report{SHA256: made.SHA256, App: o.App, Arch: o.Arch, Version: o.Version, From: from, Files: []FileCost{}}
	for _, t := range targets {
		files, err := t.files()
		if err != nil {
			return err
		}
		r.Files = append(r.Files, files...)
		for _, p := range t.parts {
			r.DataSizeBytes += p.dataBytes
		}
	}
	slices.SortStableFunc(r.Files, func(a, b FileCost) int { return cmp.Compare(b.DataSizeBytes, a.DataSizeBytes) })
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = WriteFile(path+ReportSuffix, bytes.NewReader(append(text, '\n')))
	return err
}

// files shares the costs of a target out among its files. What is no image has none.
func (c *costs) files() ([]FileCost, error) {
	image, err := openSection(c.Path)
	if err != nil {
		return nil, err
	}
	defer image.Close()
	nodes, err := erofs.Read(image, image.Size())
	if err != nil && fault.KindOf(err) == fault.Internal {
		return nil, err
	}
	shares := map[int]float64{}
	held := extentsOf(nodes)
	for _, p := range c.parts {
		held = share(p, held, shares)
	}
	return c.rows(nodes, shares, image.Size()), nil
}

// rows makes whole bytes of shares that are not.
func (c *costs) rows(nodes []erofs.Node, shares map[int]float64, sizeBytes int64) []FileCost {
	rest := FileCost{Target: c.Target, SizeBytes: sizeBytes}
	for _, p := range c.parts {
		rest.DataSizeBytes += p.dataBytes
	}
	var rows []FileCost
	for _, i := range slices.Sorted(maps.Keys(shares)) {
		n := nodes[i]
		row := FileCost{Target: c.Target, Path: n.Path, SizeBytes: n.SizeBytes, DataSizeBytes: int64(shares[i])}
		if old := c.old[n.Path]; old != n.Path {
			row.Old = old
		}
		if n.Path == "" || row.DataSizeBytes == 0 {
			continue
		}
		rest.SizeBytes -= min(n.SizeBytes, rest.SizeBytes)
		rest.DataSizeBytes -= row.DataSizeBytes
		rows = append(rows, row)
	}
	if rest.DataSizeBytes > 0 {
		rows = append(rows, rest)
	}
	return rows
}

// held is a part of an image that holds content of a node.
type held struct {
	start, end int64
	node       int
}

// extentsOf lists the content of all nodes in the order of the image. Of content that files share, the first has it.
func extentsOf(nodes []erofs.Node) []held {
	var all []held
	for i, n := range nodes {
		for _, e := range n.Content {
			all = append(all, held{e.Offset, e.End(), i})
		}
	}
	slices.SortStableFunc(all, func(a, b held) int { return cmp.Compare(a.start, b.start) })
	done, apart := int64(0), all[:0]
	for _, h := range all {
		if h.start = max(h.start, done); h.start < h.end {
			apart, done = append(apart, h), h.end
		}
	}
	return apart
}

// share gives each node the part of a cost that its bytes are of the bytes that were written. It returns the extents without those that
// lie before the end of the part.
func share(p cost, all []held, shares map[int]float64) []held {
	end := p.offset + p.sizeBytes
	for len(all) > 0 && all[0].start < end {
		h := all[0]
		if both := min(h.end, end) - max(h.start, p.offset); both > 0 {
			shares[h.node] += float64(p.dataBytes) * float64(both) / float64(p.sizeBytes)
		}
		if h.end > end {
			break
		}
		all = all[1:]
	}
	return all
}
