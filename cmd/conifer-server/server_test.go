package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
)

// watched is a stderr that tells when a line has come.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if string(b) == "ready\n" {
		close(w.ready)
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// start runs the server as its command line says, on a free port, until stop is called.
func start(t *testing.T, args ...string) (url string, stderr *watched, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stderr = &watched{ready: make(chan struct{})}
	ended := make(chan int, 1)
	env := cli.Env{Args: append([]string{"--listen", "127.0.0.1:0"}, args...), Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: stderr}
	go func() { ended <- Run(ctx, env) }()
	select {
	case <-stderr.ready:
	case code := <-ended:
		t.Fatalf("the server ended with exit code %d: %s", code, stderr)
	}
	address := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(stderr.String())
	if address == nil {
		t.Fatalf("no address in %s", stderr)
	}
	stop = sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	return "http://" + address[1], stderr, stop
}

func adminClient(t *testing.T, url, data string) *client.Client {
	t.Helper()
	token, err := client.ReadToken(filepath.Join(data, "admin.token"))
	must(t, err)
	c, err := client.New(url, token)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDevFromStartToStopAndAgain(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	url, stderr, stop := start(t, "--data", data, "--dev", "--config", filepath.Join(data, "none.toml"))
	c := adminClient(t, url, data)
	groups, err := c.Groups(t.Context(), "conifer-os")
	must(t, err)
	channels, err := c.Channels(t.Context(), "conifer-os")
	must(t, err)
	if len(groups) != 3 || len(channels) != 3 || groups[0].Name != "alpha" || groups[0].Channel != "alpha" {
		t.Errorf("got %+v, %+v", groups, channels)
	}
	var second bytes.Buffer
	env := cli.Env{Args: []string{"--data", data, "--config", "none.toml"}, Stdin: strings.NewReader(""), Stdout: &second, Stderr: &second}
	if code := Run(t.Context(), env); code != 1 || !strings.Contains(second.String(), "another conifer-server works on") {
		t.Errorf("a second server on the folder ended with exit code %d: %s", code, &second)
	}
	half := "50"
	_, err = c.SetGroup(t.Context(), "alpha", admin.GroupPatch{App: "conifer-os", Percent: &half})
	must(t, err)
	if code := stop(); code != 0 || !strings.Contains(stderr.String(), "stopping") {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("the stopped server answers")
	}

	url, _, _ = start(t, "--data", data, "--dev", "--config", filepath.Join(data, "none.toml"))
	groups, err = adminClient(t, url, data).Groups(t.Context(), "conifer-os")
	must(t, err)
	if len(groups) != 3 || groups[0].Percent != "50" {
		t.Errorf("what was set is gone: %+v", groups)
	}
}

func TestConfiguration(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "server.toml")
	must(t, os.WriteFile(path, []byte("log_format = \"json\"\ndata = \""+folder+"\"\n"), 0o644))
	var out bytes.Buffer
	env := cli.Env{Args: []string{"config", "--config", path}, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}
	if code := Run(t.Context(), env); code != 0 {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	for _, want := range []string{`listen = "127.0.0.1:8000"  # default`, `log_format = "json"  # ` + path, "max_upload_bytes = ",
		"[retention]", "machines_days = 90  # default", "[limits]", "max_connections = 8192  # default"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestRefusals(t *testing.T) {
	data := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(data, name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	none := filepath.Join(data, "none.toml")
	cases := []struct {
		args    []string
		code    int
		message string
	}{
		{[]string{"--config", file("wrong.toml", "lisen = \"x\"\n")}, 2, `unknown key "lisen"`},
		{[]string{"--config", file("loud.toml", "log_format = \"loud\"\n")}, 2, `log_format is "loud"`},
		{[]string{"--config", file("none-in.toml", "[limits]\nupdates_in_flight = 0\n")}, 2, "limits.updates_in_flight is 0"},
		{[]string{"--config", file("never.toml", "[limits]\nadmin_per_second = -1.5\n")}, 2, "limits.admin_per_second is -1.5"},
		{[]string{"--config", file("past.toml", "[retention]\nevents_days = -1\n")}, 2, "negative number of days"},
		{[]string{"--config", file("no-password.toml", "database = \"postgres://conifer@nowhere.invalid/x\"\ndatabase_password_file = \"/none\"\n")}, 2, "password"},
		{[]string{"--config", none, "--database", "mysql://x:secret@y"}, 2, "neither sqlite:PATH nor postgres://"},
		{[]string{"--config", none, "--database", "sqlite:"}, 2, "neither sqlite:PATH nor postgres://"},
		{[]string{"--config", none, "--tls-key", "key.pem"}, 2, "only one of tls_certificate and tls_key"},
		{[]string{"--config", none, "--tls-key", none, "--tls-certificate", none}, 2, "read the certificate"},
		{[]string{"--config", none, "--trusted-proxy", "balancer"}, 2, `"balancer" is neither a network`},
		{[]string{"--config", none, "--dev", "--listen", "0.0.0.0:1"}, 2, "--dev listens on this host only"},
		{[]string{"--config", none, "--dev", "--listen", ":1"}, 2, "--dev listens on this host only"},
		{[]string{"--config", none, "--dev", "--listen", "192.0.2.1"}, 2, "--dev listens on this host only"},
		{[]string{"--config", none, "--bogus"}, 2, "unknown flag"},
		{[]string{"--config", none, "surprise"}, 2, `"surprise"`},
		{[]string{"--config", none, "--listen", "256.0.0.1:1"}, 1, "256.0.0.1"},
	}
	for _, c := range cases {
		var out bytes.Buffer
		env := cli.Env{Args: append([]string{"--data", data}, c.args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}
		if code := Run(t.Context(), env); code != c.code || !strings.Contains(out.String(), c.message) || strings.Contains(out.String(), "secret") {
			t.Errorf("%v: exit code %d, %s", c.args, code, &out)
		}
	}
}
