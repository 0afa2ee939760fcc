package diff

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"conifer.dev/conifer/internal/factory/diff/erofs"
	"conifer.dev/conifer/internal/factory/program"
	"conifer.dev/conifer/internal/wire/delta"
)

// finder is at work on two images.
type finder struct {
	o        Options
	old, new *layout
	index    *index // of the old image
	pairs    []pair // for each new node
}

// pair is what is found out about a new node.
type pair struct {
	inode   int           // the old node whose inode is most like its inode, or none
	content int           // the old node whose content is most like its content, or none
	same    bool          // both contents are equal, over the full length
	pieces  []delta.Piece // of the content, from places in the old image
	program *program.Pair // when both contents are builds of a program
}

const none = -1

// match finds for every new node what it is made of.
func (f *finder) match(ctx context.Context) error {
	if err := f.pair(ctx); err != nil {
		return err
	}
	var err error
	if f.index, err = newIndex(ctx, f.old); err != nil {
		return err
	}
	order := make([]int, len(f.new.nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(f.new.nodes[b].SizeBytes, f.new.nodes[a].SizeBytes) })
	return f.each(ctx, order, f.node)
}

// memoryBytes is what all workers together may take.
const memoryBytes = 3 << 30

// each does the work for all nodes, as many at a time as there are workers and memory.
func (f *finder) each(ctx context.Context, nodes []int, work func(i int) error) error {
	memory := semaphore.NewWeighted(memoryBytes)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.o.Workers)
	for _, i := range nodes {
		need := min(f.memoryBytes(i), memoryBytes)
		if memory.Acquire(ctx, need) != nil {
			break // the group says why
		}
		group.Go(func() error {
			defer memory.Release(need)
			defer f.o.Progress(contentBytes(f.new.nodes[i]))
			if err := ctx.Err(); err != nil {
				return err
			}
			return work(i)
		})
	}
	return group.Wait()
}

// memoryBytes is what matching a node takes: both contents, and the order of the old one's suffixes.
func (f *finder) memoryBytes(i int) int64 {
	need := contentBytes(f.new.nodes[i])
	if p := f.pairs[i]; p.content != none && !p.same {
		need += 6 * contentBytes(f.old.nodes[p.content])
	}
	return need
}

// node finds the pieces of the content of a node.
func (f *finder) node(i int) error {
	p := &f.pairs[i]
	n := f.new.nodes[i]
	if len(n.Content) == 0 {
		return nil
	}
	if p.same {
		p.pieces = inImage(f.old.nodes[p.content], []delta.Piece{{SizeBytes: contentBytes(n)}})
		return nil
	}
	text, err := f.new.content(i)
	if err != nil {
		return err
	}
	if p.content == none {
		if p.content, err = f.vote(text); err != nil {
			return err
		}
	}
	all := []delta.Piece{{From: delta.New, SizeBytes: int64(len(text))}}
	if p.content != none {
		old, err := f.old.content(p.content)
		if err != nil {
			return err
		}
		all = Pieces(old, text)
		if p.program, all = alike(old, text, all); p.program != nil {
			p.pieces = inImage(f.old.nodes[p.content], all)
			return nil
		}
		all = inImage(f.old.nodes[p.content], all)
	}
	p.pieces, err = f.search(all, text)
	return err
}

// alike looks for better pieces where two files are builds of one program: those of what the files mean.
func alike(old, new []byte, all []delta.Piece) (*program.Pair, []delta.Piece) {
	pair, ok := program.Open(old, new)
	if !ok {
		return nil, all
	}
	r := &delta.Region{SizeBytes: int64(len(new)), Pieces: all}
	pair.Region(r)
	return pair, Pieces(pair.Normal(r))
}

// inImage turns pieces from the content of a node into pieces from where that lies in the image.
func inImage(n erofs.Node, all []delta.Piece) []delta.Piece {
	var p pieces
	for _, piece := range all {
		if piece.From == delta.New {
			p.append(piece)
			continue
		}
		start, end := piece.From, piece.From+piece.SizeBytes
		at := int64(0)
		for _, e := range n.Content {
			from, to := max(start, at), min(end, at+e.SizeBytes)
			if from < to {
				p.append(delta.Piece{From: e.Offset + from - at, SizeBytes: to - from})
			}
			at += e.SizeBytes
		}
	}
	return p.all
}
