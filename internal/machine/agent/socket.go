package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/update"
)

// SocketPath is where the agent of a machine answers its own users; only root can connect.
const SocketPath = "/run/conifer/agent.sock"

// access says who may use a route.
type access int

const (
	local  access = iota // over the socket: root on this machine
	remote               // over the network too, if the configuration has `listen`
)

// route is one row of the table of routes.
type route struct {
	pattern string
	access  access
	handle  func(a *Agent, from access, w http.ResponseWriter, r *http.Request)
}

var routes = []route{
	{"GET /status", remote, handleStatus},
	{"GET /metrics", remote, handleMetrics},
	{"GET /healthz", remote, handleHealthz},
	{"POST /check", local, handleCheck},
	{"POST /retry", local, handleRetry},
}

// handler serves the routes that callers from somewhere may use.
func (a *Agent) handler(from access) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		if from == local || r.access == remote {
			mux.HandleFunc(r.pattern, func(w http.ResponseWriter, req *http.Request) { r.handle(a, from, w, req) })
		}
	}
	return http.MaxBytesHandler(mux, 4<<10)
}

// serve answers on a listener until ctx ends.
func (a *Agent) serve(ctx context.Context, l net.Listener, from access) error {
	server := &http.Server{
		Handler: a.handler(from), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// listenSocket takes the place of a socket that a killed agent has left.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func handleStatus(a *Agent, from access, w http.ResponseWriter, _ *http.Request) {
	st := a.Status()
	st.MachineID, st.Server, st.Group = a.Names.MachineID, a.Names.Server, a.Names.Group
	if from != local {
		st = st.reduced()
	}
	writeJSON(w, http.StatusOK, st)
}

func handleMetrics(a *Agent, _ access, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	a.writeMetrics(w)
}

// handleHealthz says whether the loop can go on, not whether the machine is healthy.
func handleHealthz(a *Agent, _ access, w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	stuck := a.stuck
	a.mu.Unlock()
	if stuck != "" {
		writeError(w, fault.New(fault.Unavailable, "the agent cannot save its state"))
		return
	}
	w.Write([]byte("ok\n"))
}

func handleCheck(a *Agent, _ access, w http.ResponseWriter, r *http.Request) {
	a.ask(w, r, update.CheckNow{})
}

func handleRetry(a *Agent, _ access, w http.ResponseWriter, r *http.Request) {
	version := r.URL.Query().Get("version")
	if _, ok := a.snapshot().Failed[version]; !ok {
		writeError(w, fault.New(fault.NotFound, "release %q has not failed here", version))
		return
	}
	a.ask(w, r, update.RetryRelease{Version: version})
}

// ask gives the loop an event; when this answers, the loop has it.
func (a *Agent) ask(w http.ResponseWriter, r *http.Request, e update.Event) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if !a.post(ctx, e) {
		writeError(w, fault.New(fault.Busy, "the agent is occupied"))
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// Problem is the body of an answer that is an error.
type Problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	writeJSON(w, kind.HTTPStatus(), Problem{kind.String(), err.Error(), fault.HintOf(err)})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the caller has hung up, or reads it
}
