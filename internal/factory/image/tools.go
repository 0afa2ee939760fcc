package image

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/fault"
	osdef "conifer.dev/conifer/os"
)

//go:embed enter.sh
var enterScript string

// usualTools is how long mmdebstrap takes on two cores.
const usualTools = 40 * time.Second

// toolsRecipe changes when trees must be made anew although the list of packages is the same.
const toolsRecipe = "2"

// Tools returns the folder of the pinned tools tree in cache for images of an architecture, and makes it when it is not there.
func Tools(ctx context.Context, cache, arch string, mirrors Mirrors, progress io.Writer) (string, error) {
	list, err := definitionLines("tools.packages")
	if err != nil {
		return "", err
	}
	archs := []string{Arch}
	if arch != Arch {
		archs = append(archs, arch)
		list = append(list, "systemd-boot-efi:"+arch)
	}
	packages := strings.Join(list, ",")
	sum := sha256.Sum256([]byte(toolsRecipe + debian + packages))
	folder := filepath.Join(cache, fmt.Sprintf("tools-%x", sum[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	mmdebstrap, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return "", fault.New(fault.NotFound, "mmdebstrap is not installed, which makes the tools tree").
			WithHint("Run `make deps`, or install the package mmdebstrap.")
	}
	step := cli.NewWait(progress, "make the tools tree", usualTools)
	defer step.End()
	return folder, makeTools(ctx, mmdebstrap, folder, archs, packages, mirrors)
}

// makeTools builds aside and renames, so that a tree that is there is whole.
func makeTools(ctx context.Context, mmdebstrap, folder string, archs []string, packages string, mirrors Mirrors) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(filepath.Dir(folder), "tools-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	if err := os.Chmod(aside, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, mmdebstrap, "--quiet", "--variant=minbase", "--architectures="+strings.Join(archs, ","), "--include="+packages,
		"--customize-hook=mkdir $1/build $1/out $1/packages && touch $1/etc/resolv.conf $1/etc/hosts",
		debian, aside, mirrors.Main)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.New(fault.Unavailable, "mmdebstrap: %w: %s", err, lastLines(out, 5))
	}
	if err := os.Rename(aside, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// definitionLines reads a list of the definition without its comments.
func definitionLines(name string) ([]string, error) {
	text, err := fs.ReadFile(osdef.Files, name)
	if err != nil {
		return nil, err
	}
	return lines(string(text)), nil
}

// lines gives the lines that are not empty and no comment.
func lines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// toolbox runs programs in the tools tree, which sees folders of the host.
type toolbox struct {
	tree  string
	binds [][2]string // folder of the host, folder in the tree
	epoch int64       // SOURCE_DATE_EPOCH
}

// run runs one program and returns its output; on failure the end of it is in the error.
func (t *toolbox) run(ctx context.Context, argv ...string) (string, error) {
	args := []string{"--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enterScript, "enter.sh", t.tree}
	for _, bind := range t.binds {
		args = append(args, bind[0], bind[1])
	}
	cmd := exec.CommandContext(ctx, "unshare", append(append(args, "--"), argv...)...)
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC", "TMPDIR=/tmp",
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", t.epoch),
	}
	var out, talk strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &talk
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fault.Wrap(fault.Canceled, ctx.Err())
		}
		return "", fault.New(fault.Internal, "%s: %w: %s", argv[0], err, lastLines([]byte(out.String()+talk.String()), 15))
	}
	return out.String(), nil
}

// lastLines is the end of what a program said.
func lastLines(out []byte, n int) string {
	list := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(list[max(0, len(list)-n):], "\n")
}
