package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/imagetest"
)

// TestFactoryScripts runs the commands of the factory as an operator does, in this process. `conifer` must exit 0,
// `! conifer` must exit 1, and `usage` must exit 2.
func TestFactoryScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/factory",
		Setup: setUpService,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"conifer": func(ts *testscript.TestScript, neg bool, args []string) {
				want := 0
				if neg {
					want = 1
				}
				expect(ts, want, args)
			},
			"usage":   func(ts *testscript.TestScript, _ bool, args []string) { expect(ts, 2, args) },
			"image":   writeImage,
			"service": func(ts *testscript.TestScript, _ bool, _ []string) { listService(ts) },
		},
	})
}

func expect(ts *testscript.TestScript, want int, args []string) {
	env := cli.Env{Args: args, Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv}
	if code := Run(context.Background(), env); code != want {
		ts.Fatalf("exit code is %d, want %d", code, want)
	}
}

// writeImage is `image FOLDER VERSION`.
func writeImage(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(imagetest.Write(filepath.Clean(args[0]), args[1]))
}

// memory is a service that keeps uploads, one for each script.
type memory struct {
	mu    sync.Mutex
	files map[string][]byte
}

func setUpService(env *testscript.Env) error {
	m := &memory{files: map[string][]byte{}}
	server := httptest.NewServer(m)
	env.Defer(server.Close)
	env.Setenv("SERVER", server.URL)
	env.Values["service"] = m
	return nil
}

func (m *memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, have := m.files[r.URL.Path]
	switch {
	case r.Method != http.MethodPut && r.Method != http.MethodPost && !have:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		w.Write(b)
	case r.Header.Get("Authorization") != "Bearer secret":
		w.WriteHeader(http.StatusUnauthorized)
	default:
		m.files[r.URL.Path], _ = io.ReadAll(r.Body)
	}
}

// listService prints what the service was sent.
func listService(ts *testscript.TestScript) {
	m := ts.Value("service").(*memory)
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		fmt.Fprintln(ts.Stdout(), name, len(m.files[name]))
		if name == "/v1/admin/releases" {
			fmt.Fprintln(ts.Stdout(), string(m.files[name]))
		}
	}
}
