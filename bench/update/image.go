package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/factory/pack"
	"conifer.dev/conifer/test/fleet"
)

// share is what a part of the image takes of its full payload.
type share struct {
	Name      string
	Files     int
	SizeBytes int64
	DataBytes int64
}

// image is what the full payload of the image that os/ defines is made of.
type image struct {
	FastBytes  int64 // as the tests make it
	BestBytes  int64 // as it is released
	Files      []share
	Folders    []share
	Candidates []share // in the order of candidates
}

// candidate is something that the image could do without.
type candidate struct {
	name     string
	loss     string   // what goes with it
	patterns []string // of path.Match, for files and for folders with all that is in them, as in os/root/.remove
}

const libraries = "usr/lib/x86_64-linux-gnu/"

var candidates = []candidate{
	{"helpers of the SSH client", "keys in an agent, on a token or of the host, for logging in from this machine elsewhere", []string{
		"usr/bin/ssh-add", "usr/bin/ssh-agent", "usr/bin/ssh-keyscan", "usr/bin/ssh-copy-id", "usr/bin/ssh-argv0",
		"usr/lib/openssh/ssh-pkcs11-helper", "usr/lib/openssh/ssh-sk-helper", "usr/lib/openssh/ssh-keysign",
		libraries + "libfido2.so*", libraries + "libcbor.so*",
	}},
	{"names of hosts in other letters", "the resolver then takes them in their ASCII form only", []string{libraries + "libidn2.so*", libraries + "libunistring.so*"}},
	{"InfiniBand and RDMA modules", "RDMA between machines, EFA's included", []string{
		"usr/lib/modules/*/kernel/drivers/infiniband", "usr/lib/modules/*/kernel/net/sunrpc/xprtrdma", "usr/bin/rdma",
	}},
	{"Ceph modules", "Ceph's file system and block devices", []string{
		"usr/lib/modules/*/kernel/fs/ceph", "usr/lib/modules/*/kernel/net/ceph", "usr/lib/modules/*/kernel/drivers/block/rbd.ko",
	}},
	{"Btrfs module", "Btrfs on disks that an operator brings", []string{"usr/lib/modules/*/kernel/fs/btrfs"}},
}

func (c candidate) has(file string) bool {
	for ; file != "." && file != "/"; file = path.Dir(file) {
		for _, pattern := range c.patterns {
			if ok, _ := path.Match(pattern, file); ok {
				return true
			}
		}
	}
	return false
}

// The UKI is not looked into, and in the root the names of files, their times and the like are in none of them.
const (
	ukiName = "the UKI: kernel and initrd"
	noName  = "what is in no file"
)

// folderOf is the folder that a file counts for: three levels deep, and all modules as one.
func folderOf(c pack.FileCost) string {
	if c.Target != "root" {
		return ukiName
	}
	if c.Path == "" {
		return noName
	}
	parts := strings.Split(path.Dir(c.Path), "/")
	if len(parts) > 2 && parts[2] == "modules" {
		parts = parts[:3]
	}
	return path.Join(parts[:min(len(parts), 3)]...)
}

func fileOf(c pack.FileCost) string {
	if c.Target != "root" {
		return ukiName
	}
	return cmp.Or(c.Path, noName)
}

// shares adds up what has the same name, the largest first.
func shares(files []pack.FileCost, name func(pack.FileCost) string) []share {
	sums := map[string]*share{}
	for _, f := range files {
		sum := sums[name(f)]
		if sum == nil {
			sum = &share{Name: name(f)}
			sums[sum.Name] = sum
		}
		sum.add(f)
	}
	all := make([]share, 0, len(sums))
	for _, sum := range sums {
		all = append(all, *sum)
	}
	slices.SortFunc(all, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.DataBytes, a.DataBytes), strings.Compare(a.Name, b.Name))
	})
	return all
}

func (s *share) add(f pack.FileCost) {
	s.Files++
	s.SizeBytes += f.SizeBytes
	s.DataBytes += f.DataSizeBytes
}

// inspect packs a release as it would be released, unless that was done before, and adds up what its files take.
func inspect(ctx context.Context, f *fleet.Factory, release string) (image, error) {
	fast, err := os.Stat(filepath.Join(release, "full.payload"))
	if err != nil {
		return image{}, err
	}
	file := filepath.Join(f.Cache, "update", filepath.Base(release)+".full.payload")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return image{}, err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		if _, err := f.Conifer(ctx, "payload", "make", "--to", release, "--out", file, "--level", "best"); err != nil {
			return image{}, err
		}
	}
	best, err := os.Stat(file)
	if err != nil {
		return image{}, err
	}
	text, err := os.ReadFile(file + pack.ReportSuffix)
	if err != nil {
		return image{}, err
	}
	var report pack.Report
	if err := json.Unmarshal(text, &report); err != nil {
		return image{}, err
	}
	m := image{FastBytes: fast.Size(), BestBytes: best.Size(), Files: shares(report.Files, fileOf), Folders: shares(report.Files, folderOf)}
	for _, c := range candidates {
		sum := share{Name: c.name}
		for _, file := range report.Files {
			if file.Target == "root" && c.has(file.Path) {
				sum.add(file)
			}
		}
		m.Candidates = append(m.Candidates, sum)
	}
	return m, nil
}
