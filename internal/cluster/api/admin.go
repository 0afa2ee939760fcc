package api

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"conifer.dev/conifer/internal/cluster/reboot"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/fleetlock"
)

// Lock is the reboot lock of a group, as the operator sees it.
type Lock struct {
	Group   string   `json:"group"`
	Slots   int      `json:"slots"`
	Holders []Holder `json:"holders"`
}

// Holder is a machine that holds a slot.
type Holder struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// Problem is the body of an error on the admin socket.
type Problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Admin is for the operator. It asks for no credential: who may open the socket may use it.
func (s *Server) Admin() http.Handler {
	return mux([]route{
		{"GET /v1/locks", s.listLocks},
		{"POST /v1/locks/release", s.releaseLock},
	})
}

func (s *Server) listLocks(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	states, err := s.locks.List(ctx)
	if err != nil {
		answerError(w, err)
		return
	}
	locks := []Lock{}
	for group, state := range states {
		lock := Lock{Group: group, Slots: state.Slots, Holders: []Holder{}}
		for _, h := range state.Holders {
			lock.Holders = append(lock.Holders, Holder(h))
		}
		locks = append(locks, lock)
	}
	slices.SortFunc(locks, func(a, b Lock) int { return strings.Compare(a.Group, b.Group) })
	answer(w, http.StatusOK, locks)
}

func (s *Server) releaseLock(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storeTimeout)
	defer cancel()
	var p fleetlock.Params
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, fleetlock.MaxBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		answerError(w, fault.New(fault.Invalid, "read request: %w", err))
		return
	}
	if err := s.releaseByHand(ctx, p); err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, p)
}

// releaseByHand is told more strictly than a machine's own release: a person who misspelt a name must see it.
func (s *Server) releaseByHand(ctx context.Context, p fleetlock.Params) error {
	if err := p.Validate(); err != nil {
		return err
	}
	outcome, err := s.locks.Apply(ctx, p.Group, reboot.Release{ID: p.ID})
	if err != nil {
		return err
	}
	if outcome.Verdict == reboot.Absent {
		return fault.New(fault.NotFound, "machine %s holds no slot of group %s", p.ID, p.Group).
			WithHint("`conifer-cluster lock list` shows who does.")
	}
	s.log.Info("reboot slot released by hand", "group", p.Group, "machine", p.ID)
	return nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func answerError(w http.ResponseWriter, err error) {
	kind := fault.KindOf(err)
	answer(w, kind.HTTPStatus(), Problem{kind.String(), err.Error(), fault.HintOf(err)})
}

// ListenAdmin opens the socket at path for its owner alone. A socket that a killed process left is replaced, one
// that somebody answers on is not.
func ListenAdmin(path string) (net.Listener, error) {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, fault.New(fault.Busy, "another process answers on %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
