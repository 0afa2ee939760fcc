package main

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"conifer.dev/conifer/bench/page"
)

var bsdiff = tool{
	make:  func(from, to, payload string) []string { return []string{"bsdiff", from, to, payload} },
	apply: func(from, payload, to string) []string { return []string{"bspatch", from, to, payload} },
}

// bsdiffFactor is how many bytes bsdiff has resident for one of the old file: two arrays of 8-byte places, and the file.
const bsdiffFactor = 17

// measureBsdiff takes the whole images where the memory is enough for that, and the files of the trees otherwise.
func measureBsdiff(ctx context.Context, on *trial) (result, error) {
	info, err := os.Stat(on.oldImage())
	if err != nil {
		return result{}, err
	}
	available, err := availableMemory()
	if err != nil {
		return result{}, err
	}
	const reserve = 2 << 30 // for the new image and for whoever else is there
	if need := bsdiffFactor*info.Size() + reserve; need > available {
		r, err := bsdiffFiles(ctx, on)
		r.Note = fmt.Sprintf("file by file, without the file system around them: the whole image needs %s MiB of memory, and there were %s. %s",
			page.Number(need>>20), page.Number(available>>20), r.Note)
		return r, err
	}
	return bsdiff.measure(ctx, on)
}

// availableMemory is what new processes can have without any swapping: MemAvailable of proc_meminfo(5).
func availableMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "MemAvailable:")
	kib, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	n, err := strconv.ParseInt(kib, 10, 64)
	return n << 10, err
}

// bsdiffFiles sums up the payloads of all files that are not in the old tree as they are in the new one.
func bsdiffFiles(ctx context.Context, on *trial) (sum result, err error) {
	older, err := findFiles(on.oldTree())
	if err != nil {
		return sum, err
	}
	newer, err := findFiles(on.newTree())
	if err != nil {
		return sum, err
	}
	from, changed, fresh := predecessors(older, newer), 0, 0
	for _, name := range newer {
		t, before, to := wholeZstd, "", filepath.Join(on.newTree(), name)
		if from[name] != "" {
			t, before = bsdiff, filepath.Join(on.oldTree(), from[name])
			if sameFile(before, to) == nil {
				continue
			}
			changed++
		} else {
			fresh++
		}
		r, err := t.measureFiles(ctx, on.folder, before, to)
		if err != nil {
			return sum, fmt.Errorf("%s: %w", name, err)
		}
		sum.Bytes += r.Bytes
		sum.Make.add(r.Make)
		sum.Apply.add(r.Apply)
	}
	sum.Note = fmt.Sprintf("%d files changed; %d are new and compressed by zstd -19", changed, fresh)
	return sum, nil
}

// predecessors finds the old file of each new one: that of the same path, or one whose path differs only in numbers, as those of
// another version of the kernel or of a library do.
func predecessors(older, newer []string) map[string]string {
	same, like, from := map[string]string{}, map[string]string{}, map[string]string{}
	for _, name := range older {
		same[name], like[unnumbered(name)] = name, name
	}
	for _, name := range newer {
		from[name] = cmp.Or(same[name], like[unnumbered(name)])
	}
	return from
}

// findFiles are the regular files below root, as paths within it.
func findFiles(root string) (names []string, err error) {
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	})
	return names, err
}

var digits = regexp.MustCompile(`[0-9]+`)

func unnumbered(path string) string { return digits.ReplaceAllString(path, "0") }
