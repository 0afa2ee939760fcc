package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"conifer.dev/conifer/internal/factory/diff"
	"conifer.dev/conifer/internal/wire/delta"
	"conifer.dev/conifer/internal/wire/payload"
)

// part is a piece of a target that may become one operation of kind delta.
type part struct {
	plan   *delta.Plan
	offset int64 // in the target
	data   []byte
	took   []int64 // of the data, by region
	sha256 string  // of what it writes
}

// costs are those of the regions; what is told apart from them goes to the last one.
func (p *part) costs() []cost {
	offset, left := p.offset, int64(len(p.data))
	var parts []cost
	for i, r := range p.plan.Regions {
		parts = append(parts, cost{offset, r.SizeBytes, p.took[i]})
		offset += r.SizeBytes
		left -= p.took[i]
	}
	parts[len(parts)-1].dataBytes += left
	return parts
}

// encodeAllParts writes what was found of a target as deltas, several at a time. A plan whose data are more than an operation
// may have becomes several parts.
func encodeAllParts(ctx context.Context, found []diff.Op, old, now io.ReaderAt, o Options) ([]*part, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.Workers)
	made := make([][]*part, len(found))
	for i, op := range found {
		p := &part{plan: op.Plan, offset: op.Offset}
		group.Go(func() (err error) {
			r := &progressReader{ctx: ctx, r: now, base: p.offset, count: o.Count}
			made[i], err = p.encode(old, r, payload.MaxDeltaDataSizeBytes)
			r.end(p.offset + p.plan.SizeBytes)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(made...), nil
}

// encode writes the part, cut into as many as the limit of their data needs.
func (p *part) encode(old, now io.ReaderAt, limitBytes int) ([]*part, error) {
	section := io.NewSectionReader(now, p.offset, p.plan.SizeBytes)
	data, took, err := delta.WriteCosts(p.plan, old, section)
	if err != nil {
		return nil, err
	}
	if len(data) <= limitBytes {
		p.data, p.took = data, took
		p.sha256, err = digestOf(section)
		return []*part{p}, err
	}
	var parts []*part
	offset := p.offset
	// A little more than would do if all parts were alike, because they are not.
	pieces := int64(len(data)/(limitBytes*3/4)) + 1
	for _, plan := range cutPlan(p.plan, (p.plan.SizeBytes+pieces-1)/pieces) {
		one := &part{plan: plan, offset: offset}
		offset += plan.SizeBytes
		made, err := one.encode(old, now, limitBytes)
		if err != nil {
			return nil, err
		}
		parts = append(parts, made...)
	}
	return parts, nil
}

func digestOf(r *io.SectionReader) (string, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// cutPlan cuts a plan into plans that each write sizeBytes, the last one the rest. Regions and pieces are cut where the
// bytes end.
func cutPlan(plan *delta.Plan, sizeBytes int64) []*delta.Plan {
	c := &cutter{oldSizeBytes: plan.OldSizeBytes, sizeBytes: sizeBytes}
	for i := range plan.Regions {
		c.region(&plan.Regions[i])
	}
	return c.plans
}

// cutter fills plans one after the other.
type cutter struct {
	oldSizeBytes, sizeBytes int64
	plans                   []*delta.Plan
}

// plan is the one that is being filled.
func (c *cutter) plan() *delta.Plan {
	if n := len(c.plans); n > 0 && c.plans[n-1].SizeBytes < c.sizeBytes {
		return c.plans[n-1]
	}
	last := &delta.Plan{OldSizeBytes: c.oldSizeBytes}
	c.plans = append(c.plans, last)
	return last
}

// region adds a region whole where there is room. The parts of one that is cut keep nothing of what is known of it as a program,
// because that is counted from its beginning.
func (c *cutter) region(r *delta.Region) {
	plan := c.plan()
	if r.SizeBytes <= c.sizeBytes-plan.SizeBytes {
		plan.Regions = append(plan.Regions, *r)
		plan.SizeBytes += r.SizeBytes
		return
	}
	begin := true
	for _, piece := range r.Pieces {
		for piece.SizeBytes > 0 {
			plan := c.plan()
			if begin || len(plan.Regions) == 0 {
				plan.Regions = append(plan.Regions, delta.Region{Exact: r.Exact})
				begin = false
			}
			first := piece
			first.SizeBytes = min(piece.SizeBytes, c.sizeBytes-plan.SizeBytes)
			region := &plan.Regions[len(plan.Regions)-1]
			region.Pieces = append(region.Pieces, first)
			region.SizeBytes += first.SizeBytes
			plan.SizeBytes += first.SizeBytes
			piece.SizeBytes -= first.SizeBytes
			if piece.From != delta.New {
				piece.From += first.SizeBytes
			}
		}
	}
}

// progressReader tells how far a target was read, however often the reading goes back.
type progressReader struct {
	ctx   context.Context
	r     io.ReaderAt
	base  int64 // everything before it is counted
	count func(int64)
}

func (p *progressReader) ReadAt(b []byte, offset int64) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.ReadAt(b, offset)
	p.end(offset + int64(n))
	return n, err
}

// end counts everything up to offset.
func (p *progressReader) end(offset int64) {
	if offset > p.base {
		p.count(offset - p.base)
		p.base = offset
	}
}
