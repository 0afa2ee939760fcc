package diff

import (
	"context"
	"crypto/sha256"
	"io"
	"path"
	"regexp"

	"golang.org/x/sync/errgroup"

	"conifer.dev/conifer/internal/factory/diff/erofs"
)

type digest [sha256.Size]byte

// digests hashes the content of all nodes, without what fills up the last block.
func (l *layout) digests(ctx context.Context, workers int) ([]digest, error) {
	sums := make([]digest, len(l.nodes))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := range l.nodes {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			sums[i], err = l.digest(l.nodes[i])
			return err
		})
	}
	return sums, group.Wait()
}

func (l *layout) digest(n erofs.Node) (sum digest, err error) {
	hash := sha256.New()
	left := n.SizeBytes
	for _, e := range n.Content {
		if _, err := io.Copy(hash, io.NewSectionReader(l, e.Offset, min(left, e.SizeBytes))); err != nil {
			return sum, err
		}
		left -= e.SizeBytes
	}
	return digest(hash.Sum(nil)), nil
}

// versions are what changes in names from one release to the next: the version of a kernel, of a library, of a compiler.
var versions = regexp.MustCompile(`[0-9]+([.~+-]?[0-9]+)*`)

// unversioned is a path without versions in it.
func unversioned(path string) string { return versions.ReplaceAllString(path, "#") }

// names finds nodes by what they are called.
type names struct {
	layout                 *layout
	exact, general, simple map[string][]int // by path, by path without versions, by its last element without versions
}

func newNames(l *layout) *names {
	n := &names{l, map[string][]int{}, map[string][]int{}, map[string][]int{}}
	for i, node := range l.nodes {
		if node.Path == "" && !node.Type.IsDir() {
			continue
		}
		general := unversioned(node.Path)
		n.exact[node.Path] = append(n.exact[node.Path], i)
		n.general[general] = append(n.general[general], i)
		n.simple[path.Base(general)] = append(n.simple[path.Base(general)], i)
	}
	return n
}

// partner is the node that is called most like node and has its type; of several, the one nearest in size.
func (n *names) partner(node erofs.Node) int {
	general := unversioned(node.Path)
	for _, all := range [][]int{n.exact[node.Path], n.general[general], n.simple[path.Base(general)]} {
		best := none
		for _, i := range all {
			if n.layout.nodes[i].Type == node.Type && (best == none || n.away(i, node) < n.away(best, node)) {
				best = i
			}
		}
		if best != none {
			return best
		}
	}
	return none
}

func (n *names) away(i int, node erofs.Node) int64 {
	d := n.layout.nodes[i].SizeBytes - node.SizeBytes
	return max(d, -d)
}

// pair finds for every new node an old one by name, or by content where the whole of it is equal.
func (f *finder) pair(ctx context.Context) error {
	oldSums, err := f.old.digests(ctx, f.o.Workers)
	if err != nil {
		return err
	}
	newSums, err := f.new.digests(ctx, f.o.Workers)
	if err != nil {
		return err
	}
	byContent := map[digest]int{}
	for i, sum := range oldSums {
		if _, known := byContent[sum]; !known && len(f.old.nodes[i].Content) > 0 {
			byContent[sum] = i
		}
	}
	called := newNames(f.old)
	f.pairs = make([]pair, len(f.new.nodes))
	for i, node := range f.new.nodes {
		p := &f.pairs[i]
		p.inode = called.partner(node)
		p.content = p.inode
		if p.content == none || oldSums[p.content] != newSums[i] {
			if equal, known := byContent[newSums[i]]; known {
				p.content = equal
			}
		}
		p.same = p.content != none && oldSums[p.content] == newSums[i] && contentBytes(f.old.nodes[p.content]) == contentBytes(node)
	}
	return nil
}
