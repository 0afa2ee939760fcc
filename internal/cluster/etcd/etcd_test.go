package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/fault"
)

var start = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func clock() time.Time { return start }

var silent = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))

// dataDir has a short name, because a socket is in it.
func dataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "conifer-etcd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func embedded(t testing.TB, dir string) *Embedded {
	t.Helper()
	e, err := StartEmbedded(t.Context(), dir, silent)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func dial(t testing.TB, endpoint string) *Store {
	t.Helper()
	s, err := Dial(Config{Endpoints: []string{endpoint}}, silent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestContract runs the contract of a KV against every implementation.
func TestContract(t *testing.T) {
	server := embedded(t, dataDir(t))
	defer server.Close()
	store := dial(t, server.Endpoint())
	for name, kv := range map[string]KV{"memory": NewMemory(), "embedded etcd": store} {
		t.Run(name, func(t *testing.T) { contract(t, kv) })
	}
	t.Run("a second process is turned away", func(t *testing.T) {
		_, err := StartEmbedded(t.Context(), server.socket[:len(server.socket)-len("/etcd.sock")], silent)
		if !fault.Is(err, fault.Busy) {
			t.Errorf("got %v", err)
		}
	})
}

func contract(t *testing.T, kv KV) {
	ctx := t.Context()
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a key is written at the revision that was read", func(t *testing.T) {
		none, err := kv.Load(ctx, "/a")
		check(t, err)
		first, ok, err := kv.Swap(ctx, "/a", none.Revision, []byte("1"))
		check(t, err)
		if none.Revision != 0 || !ok || first.Revision == 0 {
			t.Fatalf("created %v, %+v -> %+v", ok, none, first)
		}
		again, ok, err := kv.Swap(ctx, "/a", none.Revision, []byte("2"))
		check(t, err)
		if diff := cmp.Diff(first, again); ok || diff != "" {
			t.Errorf("the second creation: %v, %s", ok, diff)
		}
		second, ok, err := kv.Swap(ctx, "/a", first.Revision, []byte("3"))
		check(t, err)
		loaded, err := kv.Load(ctx, "/a")
		check(t, err)
		if diff := cmp.Diff(second, loaded); !ok || diff != "" || string(loaded.Text) != "3" {
			t.Errorf("written %v, %q: %s", ok, loaded.Text, diff)
		}
	})
	t.Run("a key that is not there is told as such", func(t *testing.T) {
		got, ok, err := kv.Swap(ctx, "/none", 7, []byte("x"))
		check(t, err)
		if ok || got.Revision != 0 {
			t.Errorf("got %v, %+v", ok, got)
		}
	})
	t.Run("list is bounded by its prefix", func(t *testing.T) {
		for _, key := range []string{"/l/a", "/l/b", "/la", "/k"} {
			_, _, err := kv.Swap(ctx, key, 0, []byte(key))
			check(t, err)
		}
		got, err := kv.List(ctx, "/l/")
		check(t, err)
		if len(got) != 2 || string(got["/l/b"].Text) != "/l/b" || got["/l/a"].Revision == 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("a caller that gave up is told so", func(t *testing.T) {
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, err := kv.Load(gone, "/a")
		_, _, err2 := kv.Swap(gone, "/a", 0, nil)
		_, err3 := kv.List(gone, "/")
		for _, err := range []error{err, err2, err3} {
			if !fault.Is(err, fault.Canceled) {
				t.Errorf("got %v, of kind %v", err, fault.KindOf(err))
			}
		}
	})
	t.Run("locks", func(t *testing.T) { locksContract(t, NewLocks(kv, clock)) })
}

func locksContract(t *testing.T, locks *Locks) {
	apply := func(group string, e reboot.Event) reboot.Outcome {
		t.Helper()
		out, err := locks.Apply(t.Context(), group, e)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	steps := []struct {
		group string
		event reboot.Event
		want  reboot.Verdict
	}{
		{"a", reboot.Acquire{ID: "m1"}, reboot.Granted},
		{"a", reboot.Acquire{ID: "m1"}, reboot.Kept},
		{"a", reboot.Acquire{ID: "m2"}, reboot.Busy},
		{"b", reboot.Resize{Slots: 2}, reboot.Resized},
		{"b", reboot.Acquire{ID: "m3"}, reboot.Granted},
		{"b", reboot.Acquire{ID: "m4"}, reboot.Granted},
		{"a", reboot.Release{ID: "m1"}, reboot.Released},
		{"a", reboot.Release{ID: "m1"}, reboot.Absent},
		{"a", reboot.Acquire{ID: "m2"}, reboot.Granted},
	}
	for i, s := range steps {
		if out := apply(s.group, s.event); out.Verdict != s.want {
			t.Fatalf("step %d: %+v of %s is %s, want %s", i, s.event, s.group, out.Verdict, s.want)
		}
	}
	states, err := locks.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]reboot.State{
		"a": {Slots: 1, Holders: []reboot.Holder{{ID: "m2", Since: start}}},
		"b": {Slots: 2, Holders: []reboot.Holder{{ID: "m3", Since: start}, {ID: "m4", Since: start}}},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "../x", "a/b"} {
		if _, err := locks.Apply(t.Context(), bad, reboot.Acquire{ID: "m1"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("group %q: got %v", bad, err)
		}
	}
	if _, err := locks.Apply(t.Context(), "a", reboot.Resize{Slots: -1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("negative slots: got %v", err)
	}
	manyAtOnce(t, locks)
}

// manyAtOnce lets more machines than slots ask at the same moment.
func manyAtOnce(t *testing.T, locks *Locks) {
	const machines, slots = 12, 3
	if _, err := locks.Apply(t.Context(), "crowd", reboot.Resize{Slots: slots}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	verdicts := make([]reboot.Verdict, machines)
	for i := range machines {
		wg.Go(func() {
			out, err := locks.Apply(t.Context(), "crowd", reboot.Acquire{ID: fmt.Sprint("m", i)})
			if err != nil {
				t.Error(err)
			}
			verdicts[i] = out.Verdict
		})
	}
	wg.Wait()
	count := map[reboot.Verdict]int{}
	for _, v := range verdicts {
		count[v]++
	}
	if count[reboot.Granted] != slots || count[reboot.Busy] != machines-slots {
		t.Errorf("got %v", count)
	}
}

func TestDamagedLockIsNotTakenForAFreeOne(t *testing.T) {
	kv := NewMemory()
	if _, _, err := kv.Swap(t.Context(), Prefix+"a", 0, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	locks := NewLocks(kv, clock)
	if _, err := locks.Apply(t.Context(), "a", reboot.Acquire{ID: "m1"}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("apply: got %v", err)
	}
	if _, err := locks.List(t.Context()); !fault.Is(err, fault.Unsupported) {
		t.Errorf("list: got %v", err)
	}
}

func TestUnreachableServerIsUnavailable(t *testing.T) {
	store := dial(t, "unix://"+dataDir(t)+"/none.sock")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewLocks(store, clock).Apply(ctx, "a", reboot.Acquire{ID: "m1"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	for _, c := range []Config{{}, {Endpoints: []string{"https://127.0.0.1:1"}, CAFile: "/none"}, {Endpoints: []string{"https://127.0.0.1:1"}, CertFile: "/none", KeyFile: "/none"}} {
		if _, err := Dial(c, silent); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if _, err := StartEmbedded(t.Context(), "/tmp/"+strings.Repeat("x", 100), silent); !fault.Is(err, fault.Invalid) {
		t.Errorf("long path: got %v", err)
	}
}

// TestEtcdIsQuiet starts and stops a server: nothing of it is worth an operator's time.
func TestEtcdIsQuiet(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	server, err := StartEmbedded(t.Context(), dataDir(t), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if said.Len() > 0 {
		t.Errorf("it says:\n%s", said.String())
	}
}

func TestLogBridge(t *testing.T) {
	var said bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := newZap(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{ReplaceAttr: drop})), new(atomic.Bool))
	log.Info("for debugging")
	log.Warn("slow disk", zap.Duration("took", time.Second))
	log.With(zap.Int("n", 7)).Error("damage", zap.Error(errors.New("bad")))
	want := "level=INFO msg=\"slow disk\" part=etcd took=1s\nlevel=WARN msg=damage part=etcd n=7 error=bad\n"
	if said.String() != want {
		t.Errorf("got\n%swant\n%s", said.String(), want)
	}
}
