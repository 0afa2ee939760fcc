package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// outputBytes is how much of the end of a program's output becomes the reason.
const outputBytes = 200

// runPrograms runs the executable files of a folder in the order of their names, and stops at the first that is not
// content. Files that are not executable or whose names begin with a dot are passed over.
func runPrograms(ctx context.Context, folder string, timeout time.Duration) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read health programs: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		info, err := os.Stat(path) // follows links, so that a site can switch a program of /usr on
		if err != nil {
			return fmt.Errorf("read health programs: %w", err)
		}
		if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := runProgram(ctx, path, timeout); err != nil {
			return err
		}
	}
	return nil
}

// runProgram gives the end of the program's output as the reason when it does not exit 0 in time.
func runProgram(ctx context.Context, path string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := &tail{}
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	// What the program has started must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	if err == nil {
		return nil
	}
	why := err.Error()
	if ctx.Err() != nil {
		why = fmt.Sprintf("took longer than %s", timeout)
	}
	if text := strings.TrimSpace(out.String()); text != "" {
		why += ": " + text
	}
	return fmt.Errorf("health program %s: %s", filepath.Base(path), why)
}

// tail keeps the last bytes that are written to it.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > outputBytes {
		p = p[n-outputBytes:]
	}
	t.Buffer.Write(p)
	if extra := t.Len() - outputBytes; extra > 0 {
		t.Next(extra)
	}
	return n, nil
}
