package main

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"conifer.dev/conifer/bench/page"
)

// measureCasync counts the index and the chunks of the new image that are not in the old one. The machine is given no other chunks.
func measureCasync(ctx context.Context, on *trial) (r result, err error) {
	at := func(name string) string { return filepath.Join(on.folder, name) }
	if _, err = output(commandIn(ctx, on.folder, "casync", "make", "--store=old.castr", "old.caibx", on.oldImage())); err != nil {
		return r, err
	}
	if r.Make, err = measure(ctx, on.folder, "casync", "make", "--store=new.castr", "new.caibx", on.newImage()); err != nil {
		return r, err
	}
	err = fs.WalkDir(os.DirFS(at("old.castr")), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".cacnk") {
			err = removeIfThere(filepath.Join(at("new.castr"), path))
		}
		return err
	})
	if err != nil {
		return r, err
	}
	index, err := os.Stat(at("new.caibx"))
	if err != nil {
		return r, err
	}
	chunks, bytes, err := sumFiles(at("new.castr"))
	if err != nil {
		return r, err
	}
	r.Bytes = index.Size() + bytes
	r.Note = fmt.Sprintf("%s chunks and the index", page.Number(chunks))
	r.Apply, err = measure(ctx, on.folder, "casync", "extract", "--store=new.castr", "--seed="+on.oldImage(), "new.caibx", "applied")
	if err != nil {
		return r, err
	}
	return r, sameFile(at("applied"), on.newImage())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// sumFiles counts the regular files below root, and their bytes.
func sumFiles(root string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}

// measureZchunk lets zckdl fetch the new image over HTTP with the old one beside it, and counts what the server sends.
func measureZchunk(ctx context.Context, on *trial) (r result, err error) {
	machine := filepath.Join(on.folder, "machine")
	if err := os.Mkdir(machine, 0o755); err != nil {
		return r, err
	}
	if _, err := output(commandIn(ctx, on.folder, "zck", "-o", "old.zck", on.oldImage())); err != nil {
		return r, err
	}
	if r.Make, err = measure(ctx, on.folder, "zck", "-o", "new.zck", on.newImage()); err != nil {
		return r, err
	}
	from, err := serve(on.folder)
	if err != nil {
		return r, err
	}
	defer from.Close()
	r.Apply, err = measure(ctx, machine, "zckdl", "--fail-no-ranges", "-s", filepath.Join(on.folder, "old.zck"), from.url+"new.zck")
	if err != nil {
		return r, err
	}
	r.Bytes = from.sent.Load()
	unpacked, err := measure(ctx, machine, "unzck", "new.zck")
	if err != nil {
		return r, err
	}
	r.Apply.add(unpacked)
	r.Note = "needs its own compressed copy of the old image"
	return r, sameFile(filepath.Join(machine, "new"), on.newImage())
}

// server of a folder, which counts the bytes of the bodies that it sends.
type server struct {
	http.Server
	url  string
	sent atomic.Int64
}

func serve(folder string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + listener.Addr().String() + "/"}
	files := http.FileServer(http.Dir(folder))
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files.ServeHTTP(&counter{w, &s.sent}, r) })
	go s.Serve(listener)
	return s, nil
}

// counter has no way around Write, so that every byte passes it.
type counter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}
