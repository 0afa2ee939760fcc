package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/faultdisk"
	"conifer.dev/conifer/internal/machine/folder"
	"conifer.dev/conifer/internal/machine/update"
)

func TestADamagedStateIsPutAside(t *testing.T) {
	f := faultdisk.NewJournaled(faultdisk.NewPower(1), 1<<20)
	store := NewStore(f)
	want := update.New()
	want.Newest = "1.1.0"
	if err := store.Save(want); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	if got, err := store.Load(logger); err != nil || got.Newest != "1.1.0" || log.Len() > 0 {
		t.Fatalf("%+v, %v, %s", got, err, log.String())
	}
	f.Put(stateFile, []byte("{}"))
	got, err := store.Load(logger)
	if err != nil || got.Newest != "" || got.Phase != update.Idle {
		t.Errorf("%+v, %v", got, err)
	}
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log is %s", log.String())
	}
	if text, err := folder.Read(f, damagedFile, 100); err != nil || string(text) != "{}" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestMark(t *testing.T) {
	f := faultdisk.NewJournaled(faultdisk.NewPower(1), 1<<20)
	store := NewStore(f)
	for _, version := range []string{"1.1.0", "1.1.0", "1.2.0", "", ""} {
		if err := store.Mark(version); err != nil {
			t.Fatal(err)
		}
		text, err := folder.Read(f, markerFile, 100)
		if got := strings.TrimSpace(string(text)); got != version || fault.Is(err, fault.NotFound) != (version == "") {
			t.Errorf("after Mark(%q): %q, %v", version, got, err)
		}
	}
}

// identityFiles are the files of an operating system that ReadIdentity reads.
func identityFiles(t *testing.T, replace map[string]string) string {
	root := t.TempDir()
	files := map[string]string{
		"etc/machine-id":                 "0123456789abcdef0123456789abcdef\n",
		"proc/sys/kernel/random/boot_id": "b1\n",
		"usr/lib/os-release":             "ID=conifer\nIMAGE_VERSION=\"1.1.0\"\n",
		"proc/cmdline":                   "quiet roothash=" + strings.Repeat("ab", 32) + " gpt\n",
	}
	for name, text := range replace {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The derived ID is what `systemd-id128 machine-id -a 6f1c1e9240d74b0c9a352be75803f4ad` prints on that machine.
func TestIdentity(t *testing.T) {
	id, err := ReadIdentity(identityFiles(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if id.MachineID != "264c7eb6cee34e73a6429714824d4569" || id.BootID != "b1" || id.Running != (update.Release{Version: "1.1.0", RootHash: strings.Repeat("ab", 32)}) {
		t.Errorf("got %+v", id)
	}
	for name, text := range map[string]string{
		"etc/machine-id": "uninitialized\n", "usr/lib/os-release": "ID=debian\n", "proc/cmdline": "quiet root=/dev/sda1\n",
	} {
		if _, err := ReadIdentity(identityFiles(t, map[string]string{name: text})); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s with %q: %v", name, text, err)
		}
	}
}

func TestConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.toml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("server = \"https://updates.example\"\npoll_interval = \"90s\"\n[health]\ndeadline = \"1m\"\n")
	c, _, err := LoadConfig(path)
	if err != nil || c.PollInterval != 90*time.Second || c.Health.Deadline != time.Minute || c.Group != "stable" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, wrong := range []string{
		"server = \"updates.example\"", "lock_url = \"ftp://x\"", "poll_interval = \"0s\"", "poll_jitter = \"-1s\"", "lock_group = \"a b\"",
		"group = \"\"", "[health]\ndeadline = \"10s\"", "[health]\nprogram_timeout = \"0s\"", "colour = \"red\"", "poll_interval = 5",
	} {
		write(wrong)
		if _, _, err := LoadConfig(path); err == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

// payloadServer answers as a test wants.
func payloadServer(t *testing.T, answer http.HandlerFunc) *source {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	client := newClient()
	t.Cleanup(client.CloseIdleConnections)
	return &source{client: client, url: server.URL, sizeBytes: 10}
}

func TestSourceAnswers(t *testing.T) {
	const content = "0123456789"
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		kind   fault.Kind // -1 for success
	}{
		{"ranges", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
		}, -1},
		{"no ranges", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, content) }, -1},
		{"another range", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-9/10")
			w.WriteHeader(http.StatusPartialContent)
		}, fault.Corrupt},
		{"another size", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content+"!"))
		}, fault.Corrupt},
		{"too short", func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader("012"))
		}, fault.Corrupt},
		{"gone", http.NotFound, fault.NotFound},
		{"overloaded", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, fault.Unavailable},
		{"a loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := payloadServer(t, c.answer).Open(t.Context(), 4)
			if c.kind >= 0 {
				if !fault.Is(err, c.kind) {
					t.Errorf("got %v, want %v", err, c.kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || string(got) != "456789" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// A file that changed between two parts must not be sewn together: If-Range makes the server send all of the new one.
func TestSourceSendsItsETag(t *testing.T) {
	content := "0123456789"
	s := payloadServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", fmt.Sprintf("%q", content))
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	})
	read := func(offset int64) string {
		body, err := s.Open(t.Context(), offset)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	if got := read(0); got != content {
		t.Errorf("got %q", got)
	}
	content = "abcdefghij"
	if got := read(8); got != "ij" {
		t.Errorf("got %q", got)
	}
}

// stuck is a body that gives one byte and then nothing, until its context ends.
type stuck struct {
	ctx   context.Context
	given bool
}

func (s *stuck) Read(p []byte) (int, error) {
	if !s.given {
		s.given = true
		p[0] = 'x'
		return 1, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (s *stuck) Close() error { return nil }

func TestADownloadThatStandsStillEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		start := time.Now()
		body := newStalling(&closing{&stuck{ctx: ctx}, cancel, ctx}, cancel)
		defer body.Close()
		got, err := io.ReadAll(body)
		if string(got) != "x" || !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "no byte arrived for 1m0s") {
			t.Errorf("%q, %v", got, err)
		}
		if took := time.Since(start); took != stallTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

func TestRedirects(t *testing.T) {
	request := func(url string) *http.Request { return httptest.NewRequest(http.MethodGet, url, nil) }
	if err := checkRedirect(request("https://b/"), []*http.Request{request("https://a/")}); err != nil {
		t.Error(err)
	}
	if err := checkRedirect(request("http://b/"), []*http.Request{request("https://a/")}); err == nil {
		t.Error("a redirect away from TLS is followed")
	}
}

func TestReach(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	client := newClient()
	defer client.CloseIdleConnections()
	if err := reach(t.Context(), client, server.URL); err != nil {
		t.Errorf("a server that answers: %v", err)
	}
	server.Close()
	if err := reach(t.Context(), client, server.URL); err != nil {
		t.Errorf("a server that is down: %v", err)
	}
	if err := reach(t.Context(), client, "http://nowhere.invalid"); err == nil {
		t.Error("a server without an address is reached")
	}
	if err := reach(t.Context(), client, ""); err != nil {
		t.Errorf("no server: %v", err)
	}
}

func TestRetryDownloadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for attempt := 1; attempt <= downloadAttempts; attempt++ {
			if err := retryDownload(t.Context(), attempt); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 63*time.Second {
			t.Errorf("it waited %s", took)
		}
		if err := retryDownload(t.Context(), downloadAttempts+1); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("stop"))
		if err := retryDownload(ctx, 1); !fault.Is(err, fault.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
