package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/edge"
)

const (
	maxBodyBytes = 1 << 20 // of JSON
	longest      = 30 * time.Minute
)

// Handler serves the routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.handler(r))
	}
	mux.Handle("/", s.handler(route{pattern: "/", action: plain(quick, func(_ http.ResponseWriter, r *http.Request) error {
		return fault.New(fault.NotFound, "there is no %s %s", r.Method, r.URL.Path).WithHint("GET /v1/openapi.json lists what there is.")
	})}))
	return mux
}

// handler carries out one row of the table. A machine's request takes the shortest way, because there are so many.
func (s *Server) handler(route route) http.Handler {
	serve := route.serve
	if route.kind != update {
		serve = s.checked(route)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if edge.Leaving(r.Context()) {
			w.Header().Set("Connection", "close")
		}
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// checked is the action of a route behind everything that keeps a request out.
func (s *Server) checked(route route) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.browsers.Check(r); err != nil {
			return fault.Wrap(fault.Forbidden, err)
		}
		if route.access != auth.Nobody {
			who, err := s.admit(route, r)
			if err != nil {
				return err
			}
			r = r.WithContext(auth.With(r.Context(), who))
		}
		if strings.HasPrefix(route.path(), adminPrefix) {
			if err := route.checkQuery(r.URL.Query()); err != nil {
				return err
			}
		}
		over := bound(w, r, route)
		defer over()
		return route.serve(w, r)
	}
}

// admit tells who makes the request, if whoever it is may, and not too often.
func (s *Server) admit(route route, r *http.Request) (auth.Identity, error) {
	from := s.Proxies.Client(r)
	if wait, ok := s.admins.Take(from); !ok {
		return auth.Identity{}, tooOften(wait, "%s makes too many requests", from)
	}
	if wait, spent := s.logins.Spent(from); spent {
		return auth.Identity{}, tooOften(wait, "%s has given too many wrong tokens", from)
	}
	who, err := s.Users.Identify(r)
	if err != nil {
		s.refuse(from, r)
		return auth.Identity{}, err
	}
	if who.Role < route.access {
		return auth.Identity{}, fault.New(fault.Forbidden, "%s is %s, and %s %s needs role %s", who.Name, who.Role, r.Method, r.URL.Path, route.access).
			WithHint("Use a token with that role; `conifer token add` makes one.")
	}
	return who, nil
}

// refuse counts a wrong token against its address. That none was given is no guess.
func (s *Server) refuse(from netip.Addr, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		return
	}
	s.logins.Take(from)
	s.counts.logins.Inc()
	s.refusals.Do(func() { s.Log.Warn("a wrong token was given", "address", from, "path", r.URL.Path) })
}

// throttled is an error that says when to come again.
type throttled struct {
	error
	wait time.Duration
}

func (t throttled) Unwrap() error { return t.error }

func tooOften(wait time.Duration, format string, args ...any) error {
	return throttled{fault.New(fault.Throttled, format, args...).WithHint("Wait %s.", wait.Round(time.Second)), wait}
}

// bound limits size and time of a request. The server's own deadlines fit a quick one. A file's handler sets them for every chunk; until
// then none may hit it.
func bound(w http.ResponseWriter, r *http.Request, route route) (over func()) {
	control := http.NewResponseController(w) // a connection that cannot have deadlines, in a test, has none
	switch route.kind {
	case file:
		_ = control.SetReadDeadline(time.Time{})
		return edge.Lasting(r.Context())
	case long:
		deadline := time.Now().Add(longest)
		_, _ = control.SetReadDeadline(deadline), control.SetWriteDeadline(deadline)
		return edge.Lasting(r.Context())
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		return func() {}
	}
}

// fail answers with an error. One that nobody classified is a bug: it is logged, and its text stays here.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if tooMany := (*http.MaxBytesError)(nil); errors.As(err, &tooMany) {
		err = fault.New(fault.Invalid, "the body has more than %d bytes", tooMany.Limit)
	}
	switch kind := fault.KindOf(err); kind {
	case fault.Internal:
		s.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		err = fault.New(fault.Internal, "internal error").WithHint("The service's log says more.")
	case fault.Unavailable:
		s.refusals.Do(func() { s.Log.Warn("a request was refused", "method", r.Method, "path", r.URL.Path, "error", err) })
		w.Header().Set("Retry-After", edge.ComeAgain())
	case fault.Throttled:
		if t := (throttled{}); errors.As(err, &t) {
			w.Header().Set("Retry-After", fmt.Sprint(int(math.Ceil(t.wait.Seconds()))))
		}
	case fault.Unauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeError(w, err)
}

// below passes the path without the prefix to a handler of files, and whose request it is.
func (s *Server) below(prefix string, serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		inner := r.Clone(r.Context())
		inner.URL.Path = strings.TrimPrefix(r.URL.Path, prefix)
		inner.RemoteAddr = s.Proxies.Client(r).String()
		return serve(w, inner)
	}
}

func alive(w http.ResponseWriter, _ *http.Request) error {
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if !s.Fleet.Ready() {
		return fault.New(fault.Unavailable, "the database does not take changes")
	}
	return alive(w, r)
}
