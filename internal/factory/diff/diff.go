// Package diff finds what a new OS image has in common with an old one, so that a delta between them is small.
//
// Start with [Find], which gives the plans of the operations of a payload (internal/wire/delta says them in few bytes), and
// [Pieces], which does the same for any two byte strings. The images are compared file by file: a file is matched with the
// old one of the same name, of the same name but for version numbers, or of similar content, and bytes that no such pair explains
// are looked for in the whole old image. Of an image that is no uncompressed erofs the package knows no files, and compares it as
// one. The result depends on the images alone, not on the number of workers. What is found is a proposal: package delta
// codes whatever differs, so that a bad match costs bytes and never a wrong image.
package diff

import (
	"context"
	"io"
	"runtime"

	"conifer.dev/conifer/internal/wire/delta"
)

// Image is a file system image, or any other file.
type Image struct {
	io.ReaderAt
	SizeBytes int64
}

// Options steer Find.
type Options struct {
	Workers  int               // zero: one for each processor
	Progress func(bytes int64) // called with how much of the new image was dealt with, from several goroutines; may be nil
}

// Op is one operation: it writes Plan.SizeBytes at Offset of the new image.
type Op struct {
	Plan   *delta.Plan
	Offset int64
	Files  []File // those that changed, in the order of their places
}

// File is a part of the new image that holds content of one changed file.
type File struct {
	Path, Old         string // Old is the path of the old file that it is made from, or empty
	Offset, SizeBytes int64
}

// Find plans how the new image is made of the old one, in operations that cover it in order.
func Find(ctx context.Context, old, new Image, o Options) ([]Op, error) {
	if o.Workers < 1 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	f := &finder{o: o}
	var err error
	if f.old, err = newLayout(old); err != nil {
		return nil, err
	}
	if f.new, err = newLayout(new); err != nil {
		return nil, err
	}
	if err := f.match(ctx); err != nil {
		return nil, err
	}
	parts, err := f.parts()
	if err != nil {
		return nil, err
	}
	return f.cut(parts)
}
