package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// measureOSTree sends what OSTree sends when it sends one file: a static delta with everything in it. The factory has both
// commits and the machine only the old one. Making does not contain committing the trees, as it does not contain writing the images
// elsewhere. OSTree must own files as the tree does: a repository as machines have it needs root.
func measureOSTree(ctx context.Context, on *trial) (r result, err error) {
	if os.Geteuid() != 0 {
		return r, errors.New("ostree needs root for repositories as machines have them: leave the row out with -rows=-ostree")
	}
	const factory, machine, payload = "factory", "machine", "payload"
	var to string
	for _, command := range []string{
		"init --mode=bare --repo=" + factory,
		"init --mode=bare --repo=" + machine,
		"commit --repo=factory --branch=old --tree=dir=" + on.oldTree(),
		"pull-local --repo=machine factory old",
		"commit --repo=factory --branch=new --tree=dir=" + on.newTree(),
	} {
		args := strings.Fields(command)
		if args[0] == "commit" {
			args = append(args, "--owner-uid=0", "--owner-gid=0", "--no-xattrs", "--timestamp=@0")
		}
		c := commandIn(ctx, on.folder, "ostree", args...)
		if to, err = output(c); err != nil {
			return r, err
		}
	}
	to = strings.TrimSpace(to) // what the last command said: the new commit
	if r.Make, err = measure(ctx, on.folder, "ostree", "static-delta", "generate", "--repo="+factory, "--from=old", "--to=new",
		"--inline", "--min-fallback-size=0", "--filename="+filepath.Join(on.folder, payload)); err != nil {
		return r, err
	}
	info, err := os.Stat(filepath.Join(on.folder, payload))
	if err != nil {
		return r, err
	}
	r.Bytes = info.Size()
	if r.Apply, err = measure(ctx, on.folder, "ostree", "static-delta", "apply-offline", "--repo="+machine, payload); err != nil {
		return r, err
	}
	if _, err := output(commandIn(ctx, on.folder, "ostree", "checkout", "--repo="+machine, to, "applied")); err != nil {
		return r, err
	}
	r.Note = "a delta between trees, which puts objects into a repository; the others give the image itself"
	return r, sameTree(filepath.Join(on.folder, "applied"), on.newTree())
}
