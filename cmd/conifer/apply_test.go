package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/servicetest"
)

// terminal makes a pseudo terminal: what is typed at one end is read at the other.
func terminal(t *testing.T) (typed, read *os.File) {
	t.Helper()
	typed, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { typed.Close() })
	if err := unix.IoctlSetPointerInt(int(typed.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(typed.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	read, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	return typed, read
}

func TestApplyAsksAtATerminal(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	folder := t.TempDir()
	file, token := filepath.Join(folder, "fleet.toml"), filepath.Join(folder, "token")
	for name, text := range map[string]string{file: "[[app]]\nid = \"x\"\nname = \"y\"\n", token: servicetest.Token} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		answer string
		code   int
		apps   int
	}{{"n\n", 1, 0}, {"\n", 1, 0}, {"y\n", 0, 1}} {
		typed, read := terminal(t)
		if _, err := typed.WriteString(c.answer); err != nil {
			t.Fatal(err)
		}
		var out, talk bytes.Buffer
		args := []string{"apply", "-f", file, "--server", s.URL, "--token-file", token}
		code := Run(t.Context(), cli.Env{Args: args, Stdin: read, Stdout: &out, Stderr: &talk})
		apps, err := s.Client.Apps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if code != c.code || len(apps) != c.apps || !strings.Contains(talk.String(), "carry out this plan? [y/N]") || out.String() != "added application y\n" {
			t.Errorf("answer %q: exit code %d, %d applications, stdout %q, stderr %q", c.answer, code, len(apps), out.String(), talk.String())
		}
	}
}
