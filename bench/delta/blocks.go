package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"conifer.dev/conifer/bench/page"
)

// blockBytes is the unit of RAUC's block hash index.
const blockBytes = 4096

// estimateBlocks is a bound for RAUC's adaptive update with a block hash index: the blocks of the new image that are nowhere in the
// old one, compressed as one file. RAUC compresses them in a squashfs, so it sends more.
func estimateBlocks(ctx context.Context, on *trial) (r result, err error) {
	missing := filepath.Join(on.folder, "missing")
	all, sent, err := missingBlocks(on.oldImage(), on.newImage(), missing)
	if err != nil {
		return r, err
	}
	if r.Make, err = measure(ctx, on.folder, "zstd", "-q", "-19", missing, "-o", "payload"); err != nil {
		return r, err
	}
	info, err := os.Stat(filepath.Join(on.folder, "payload"))
	if err != nil {
		return r, err
	}
	r.Bytes = info.Size()
	r.Note = fmt.Sprintf("no payload that was applied: %s of %s blocks of 4 KiB are new, here compressed by zstd -19 as one file; the index itself, %s bytes, is not counted",
		page.Number(sent), page.Number(all), page.Number(all*sha256.Size))
	return r, nil
}

// missingBlocks writes each block of the image to that is not in from, once, to the file out.
func missingBlocks(from, to, out string) (all, missing int, err error) {
	known := map[[sha256.Size]byte]bool{}
	err = eachBlock(from, func(block []byte) error { known[sha256.Sum256(block)] = true; return nil })
	if err != nil {
		return 0, 0, err
	}
	f, err := os.Create(out)
	if err != nil {
		return 0, 0, err
	}
	w := bufio.NewWriterSize(f, 1<<18)
	err = eachBlock(to, func(block []byte) error {
		all++
		sum := sha256.Sum256(block)
		if known[sum] {
			return nil
		}
		known[sum] = true
		missing++
		_, err := w.Write(block)
		return err
	})
	return all, missing, errors.Join(err, w.Flush(), f.Close())
}

// eachBlock reads a file block by block; the last one may be shorter.
func eachBlock(name string, do func(block []byte) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, block := bufio.NewReaderSize(f, 1<<18), make([]byte, blockBytes)
	for {
		n, err := io.ReadFull(r, block)
		if n > 0 {
			if err := do(block[:n]); err != nil {
				return err
			}
		}
		if ended(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
