package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/auth"
)

// route is one row of the table of routes: what the router, the check of access and the OpenAPI document are made of.
type route struct {
	pattern string
	access  auth.Role // that it needs at least
	summary string
	query   []param
	action
}

// param is a parameter of the query.
type param struct {
	name     string
	about    string
	required bool
}

// action is what a route does. The types of what it takes and shows are known apart from the function, so that they are
// told truly to whoever asks for the document.
type action struct {
	kind  kind
	body  reflect.Type // of the JSON it takes, nil for none
	shows reflect.Type // of the JSON it answers with, nil for none
	serve func(http.ResponseWriter, *http.Request) error
}

// kind is how a request is treated before its action.
type kind int

const (
	quick  kind = iota // a small body, a quick answer
	update             // of a machine: it may be turned away under load
	file               // moves a file: its handler bounds size and time itself
	long               // works for minutes before it answers
)

// shows is an action that answers with a value.
func shows[T any](f func(*http.Request) (T, error)) action {
	return action{shows: reflect.TypeFor[T](), serve: func(w http.ResponseWriter, r *http.Request) error {
		value, err := f(r)
		if err != nil {
			return err
		}
		return write(w, value)
	}}
}

// does is an action that has nothing to show.
func does(f func(*http.Request) error) action {
	return action{serve: func(w http.ResponseWriter, r *http.Request) error { return done(w, f(r)) }}
}

// takes is an action on a body that has nothing to show.
func takes[B any](f func(*http.Request, B) error) action {
	return action{body: reflect.TypeFor[B](), serve: func(w http.ResponseWriter, r *http.Request) error {
		body, err := read[B](r)
		if err != nil {
			return err
		}
		return done(w, f(r, body))
	}}
}

// trades is an action on a body that answers with a value.
func trades[B, T any](f func(*http.Request, B) (T, error)) action {
	return action{body: reflect.TypeFor[B](), shows: reflect.TypeFor[T](), serve: func(w http.ResponseWriter, r *http.Request) error {
		body, err := read[B](r)
		if err != nil {
			return err
		}
		value, err := f(r, body)
		if err != nil {
			return err
		}
		return write(w, value)
	}}
}

// plain is an action that writes its answer itself.
func plain(k kind, f func(http.ResponseWriter, *http.Request) error) action {
	return action{kind: k, serve: f}
}

// method and path are the two parts of the pattern.
func (r route) method() string { method, _, _ := strings.Cut(r.pattern, " "); return method }
func (r route) path() string   { _, path, _ := strings.Cut(r.pattern, " "); return path }

// documented reports whether the route speaks JSON, and belongs into the document.
func (r route) documented() bool {
	return r.body != nil || r.shows != nil || strings.HasPrefix(r.path(), adminPrefix)
}

const adminPrefix = "/v1/admin/"

// checkQuery refuses a parameter that the route does not have, so that a misspelt filter cannot show everything, and one
// that is missing.
func (r route) checkQuery(given url.Values) error {
	for name := range given {
		if !slices.ContainsFunc(r.query, func(p param) bool { return p.name == name }) {
			return fault.New(fault.Invalid, "%s has no parameter %q", r.pattern, name).WithHint("GET /v1/openapi.json lists those that there are.")
		}
	}
	for _, p := range r.query {
		if p.required && given.Get(p.name) == "" {
			return fault.New(fault.Invalid, "parameter %q is missing: %s", p.name, p.about)
		}
	}
	return nil
}

// done answers a change that has nothing to show.
func done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// write answers with a value. A list that is empty is one, and not null.
func write(w http.ResponseWriter, value any) error {
	if v := reflect.ValueOf(value); v.Kind() == reflect.Slice && v.IsNil() {
		value = []struct{}{}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n')) // nobody is left to be told of an error
	return nil
}
