package api

import (
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
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"conifer.dev/conifer/internal/cluster/etcd"
	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

var (
	start  = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)
	silent = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// broken is a store that is down while err is set.
type broken struct {
	Locks
	err error
}

func (b *broken) Apply(ctx context.Context, group string, e reboot.Event) (reboot.Outcome, error) {
	if b.err != nil {
		return reboot.Outcome{}, b.err
	}
	return b.Locks.Apply(ctx, group, e)
}

func (b *broken) List(ctx context.Context) (map[string]reboot.State, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Locks.List(ctx)
}

func server(t *testing.T) (*Server, *broken) {
	t.Helper()
	store := &broken{Locks: etcd.NewLocks(etcd.NewMemory(), func() time.Time { return start })}
	s := New(store, map[string]int{"default": 1, "workers": 2}, silent)
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, store
}

// TestScripts plays testdata/scripts: `get PATH`, `post PATH [header=VALUE]` with the body below, on the public
// door or with `admin-` before it on the operator's; `store down|up` breaks the store.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s, store := server(t)
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(s.Metrics())
		doors := map[string]http.Handler{
			"":       s.Public(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
			"admin-": s.Admin(),
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "store" {
				store.err = nil
				if d.CmdArgs[0].Key == "down" {
					store.err = fault.New(fault.Unavailable, "etcd does not answer")
				}
				return ""
			}
			door := doors[""]
			cmd, admin := strings.CutPrefix(d.Cmd, "admin-")
			if admin {
				door = doors["admin-"]
			}
			request := httptest.NewRequest(strings.ToUpper(cmd), d.CmdArgs[0].Key, strings.NewReader(d.Input))
			header := fleetlock.HeaderValue
			d.MaybeScanArgs(t, "header", &header)
			request.Header.Set(fleetlock.HeaderName, header)
			reply := httptest.NewRecorder()
			door.ServeHTTP(reply, request)
			return fmt.Sprintf("%d %s\n", reply.Code, strings.TrimSpace(reply.Body.String()))
		})
	})
}

func TestBodyIsLimited(t *testing.T) {
	s, _ := server(t)
	endless := &counter{}
	request := httptest.NewRequest("POST", fleetlock.PreReboot, endless)
	request.Header.Set(fleetlock.HeaderName, fleetlock.HeaderValue)
	reply := httptest.NewRecorder()
	s.Public(http.NotFoundHandler()).ServeHTTP(reply, request)
	if reply.Code != 400 || endless.read > 64<<10 {
		t.Errorf("status %d after %d bytes", reply.Code, endless.read)
	}
}

// counter is a body without end.
type counter struct{ read int }

func (c *counter) Read(p []byte) (int, error) {
	c.read += len(p)
	return len(p), nil
}

func TestAdminSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "conifer-api")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "admin.sock")
	client := Dial(socket)
	if _, err := client.List(t.Context()); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
		t.Errorf("without a server: %v", err)
	}

	s, store := server(t)
	l, err := ListenAdmin(socket)
	if err != nil {
		t.Fatal(err)
	}
	admin := HTTP(s.Admin(), silent)
	served := make(chan error, 1)
	go func() { served <- admin.Serve(l) }()
	defer func() {
		admin.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if _, err := ListenAdmin(socket); !fault.Is(err, fault.Busy) {
		t.Errorf("a second server: %v", err)
	}

	if _, err := s.locks.Apply(t.Context(), "default", reboot.Acquire{ID: "m1"}); err != nil {
		t.Fatal(err)
	}
	got, err := client.List(t.Context())
	want := []Lock{{"default", 1, []Holder{{"m1", start}}}, {"workers", 2, []Holder{}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if err := client.Release(t.Context(), "default", "m2"); !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Errorf("release of another: %v", err)
	}
	if err := client.Release(t.Context(), "default", "m1"); err != nil {
		t.Error(err)
	}
	store.err = fault.New(fault.Unavailable, "etcd does not answer")
	if err := client.Release(t.Context(), "default", "m1"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("broken store: %v", err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := ListenAdmin(socket)
	if err != nil {
		t.Fatal(err)
	}
	// A killed process leaves the file behind.
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(socket); err != nil {
		t.Fatal(err)
	}
	l, err = ListenAdmin(socket)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
