package imagetest

import (
	"context"
	"io"

	"conifer.dev/conifer/internal/wire/delta"
)

// PlanSizeBytes is what each plan of Find writes at most.
const PlanSizeBytes = 1 << 20

const blockSizeBytes = 4096

// Find is a pack.Finder that takes no time: every block resembles the one at its place in the old target, where there is one.
func Find(_ context.Context, old, new *io.SectionReader) ([]*delta.Plan, error) {
	var plans []*delta.Plan
	for start := int64(0); start < new.Size(); start += PlanSizeBytes {
		plan := &delta.Plan{OldSizeBytes: old.Size()}
		end := min(start+PlanSizeBytes, new.Size())
		for at := start; at < end; at += blockSizeBytes {
			piece := delta.Piece{From: at, SizeBytes: min(blockSizeBytes, end-at)}
			if at+piece.SizeBytes > old.Size() {
				piece.From = delta.New
			}
			plan.Regions = append(plan.Regions, delta.Region{SizeBytes: piece.SizeBytes, Pieces: []delta.Piece{piece}})
			plan.SizeBytes += piece.SizeBytes
		}
		plans = append(plans, plan)
	}
	return plans, nil
}
