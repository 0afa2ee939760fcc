package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/cli"
)

// fakeAgent answers on a socket as a running agent does.
func fakeAgent(t *testing.T) (socket string, asked *[]string) {
	socket = filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked = new([]string)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"state": "idle", "summary": "idle", "running": {"version": "1.1.0", "root_hash": "ab"}, "reboot_lock": "none"}`))
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.String())
		if r.URL.Query().Get("version") == "9.9.9" {
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte(`{"kind": "not found", "message": "release \"9.9.9\" has not failed here", "hint": "Look again."}`))
		}
	})
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket, asked
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = Run(t.Context(), cli.Env{Args: args, Stdout: &out, Stderr: &errOut})
	return code, out.String(), errOut.String()
}

func TestCommands(t *testing.T) {
	socket, asked := fakeAgent(t)
	config := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(config, []byte("server = \"http://updates.example\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong.toml")
	if err := os.WriteFile(wrong, []byte("sever = \"x\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"status", 0, "state            idle\nrunning          1.1.0", ""},
		{"status --json", 0, `"state": "idle"`, ""},
		{"status --yaml", 2, "", "flag provided but not defined"},
		{"status now", 2, "", `takes no argument, got "now"`},
		{"check", 0, "idle\n", "asks the service"},
		{"check now", 2, "", "takes no argument"},
		{"retry 1.2.0", 0, "idle\n", ""},
		{"retry 9.9.9", 1, "", "conifer-agent: release \"9.9.9\" has not failed here\nhint: Look again."},
		{"retry", 2, "", "retry takes one version"},
		{"--config " + config + " config", 0, "server = \"http://updates.example\"  # " + config, ""},
		{"--config " + wrong + " config", 2, "", `unknown key "sever"`},
		{"--config " + wrong + " run", 2, "", `unknown key "sever"`},
		{"--socket /nonexistent status", 1, "", "hint: Is it running?"},
		{"--help", 0, "Usage: conifer-agent", ""},
		{"", 2, "", "Usage: conifer-agent"},
		{"dance", 2, "", `unknown command "dance"`},
		{"--loud status", 2, "", "flag provided but not defined"},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := append([]string{"--socket", socket}, strings.Fields(c.args)...)
			code, stdout, stderr := run(t, args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
			}
		})
	}
	if got := strings.Join(*asked, " "); got != "/check /retry?version=1.2.0 /retry?version=9.9.9" {
		t.Errorf("the agent was asked %s", got)
	}
}
