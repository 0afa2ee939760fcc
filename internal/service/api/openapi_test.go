package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// document is the OpenAPI document as a client sees it.
type document struct {
	text  []byte
	Paths map[string]map[string]operation
}

type operation struct {
	ID         string `json:"operationId"`
	Summary    string
	Access     string `json:"x-access"`
	Security   []map[string][]string
	Parameters []struct {
		Name, In, Description string
		Required              bool
	}
	RequestBody *struct{ Content map[string]any }
	Responses   map[string]struct{ Content map[string]any }
}

func readDocument(t *testing.T, s *servicetest.Service) document {
	t.Helper()
	status, text := ask(t, "GET", s.URL+"/v1/openapi.json", "", nil)
	if status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	doc := document{text: []byte(text)}
	must(t, json.Unmarshal(doc.text, &doc))
	return doc
}

func (d document) patterns() (all []string) {
	for path, methods := range d.Paths {
		for method := range methods {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

// The document has every route of the admin API and no other, and says of each what there is to know.
func TestTheDocumentAndTheRoutesAgree(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	doc := readDocument(t, s)
	var routes []string
	for _, r := range s.Routes() {
		if strings.Contains(r, " /v1/admin/") {
			routes = append(routes, r)
		}
	}
	slices.Sort(routes)
	if diff := cmp.Diff(routes, doc.patterns()); diff != "" {
		t.Error(diff)
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			pattern := strings.ToUpper(method) + " " + path
			if op.Summary == "" || op.Access != needs(pattern) || len(op.Security) != 1 || ids[op.ID] {
				t.Errorf("%s: %+v", pattern, op)
			}
			ids[op.ID] = true
			if body := method == "post" || method == "put" || method == "patch"; body != (op.RequestBody != nil) && path != "/v1/admin/backup" {
				t.Errorf("%s: it takes a body: %v", pattern, op.RequestBody != nil)
			}
			if _, failing := op.Responses["default"]; !failing || len(op.Responses) != 2 {
				t.Errorf("%s: it answers %v", pattern, op.Responses)
			}
			for _, p := range op.Parameters {
				if p.Description == "" || p.In == "path" != strings.Contains(path, "{"+p.Name+"}") {
					t.Errorf("%s: parameter %+v", pattern, p)
				}
			}
			if len(op.Parameters) < strings.Count(path, "{") {
				t.Errorf("%s: %d parameters", pattern, len(op.Parameters))
			}
		}
	}
}

// judge is a way to the service on which every request and answer is held against the document.
type judge struct {
	t    *testing.T
	doc  document
	mux  *http.ServeMux // of the document's paths, to find which one a request is of
	good map[string]bool
}

func newJudge(t *testing.T, s *servicetest.Service) *judge {
	j := &judge{t: t, doc: readDocument(t, s), mux: http.NewServeMux(), good: map[string]bool{}}
	for _, pattern := range j.doc.patterns() {
		j.mux.Handle(pattern, http.NotFoundHandler())
	}
	return j
}

// strict is the document with every struct closed, so that a field that it does not have cannot hide.
func (j *judge) schema(path ...string) *jsonschema.Schema {
	j.t.Helper()
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(j.doc.text))
	must(j.t, err)
	for _, one := range tree.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		one.(map[string]any)["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	must(j.t, c.AddResource("openapi.json", tree))
	pointer := ""
	for _, part := range path {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(part)
	}
	schema, err := c.Compile("openapi.json#" + pointer)
	must(j.t, err)
	return schema
}

func (j *judge) hold(what, text string, path ...string) {
	j.t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = j.schema(path...).Validate(value)
	}
	if err != nil {
		j.t.Errorf("%s: %v\n%s", what, err, text)
	}
}

// RoundTrip makes a request, and holds what was sent and answered against what the document says.
func (j *judge) RoundTrip(r *http.Request) (*http.Response, error) {
	j.t.Helper()
	_, pattern := j.mux.Handler(r)
	method, path, _ := strings.Cut(pattern, " ")
	op, known := j.doc.Paths[path][strings.ToLower(method)]
	if !known {
		j.t.Errorf("%s %s is not in the document", r.Method, r.URL)
	}
	at := []string{"paths", path, strings.ToLower(method)}
	if r.Body != nil {
		sent, err := io.ReadAll(r.Body)
		must(j.t, err)
		r.Body = io.NopCloser(bytes.NewReader(sent))
		j.hold("request "+pattern, string(sent), append(at, "requestBody", "content", "application/json", "schema")...)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	text, err := io.ReadAll(answer.Body)
	must(j.t, err)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	status := fmt.Sprint(answer.StatusCode)
	if _, told := op.Responses[status]; !told {
		status = "default"
	} else {
		j.good[pattern] = true
	}
	if len(op.Responses[status].Content) > 0 {
		j.hold("answer "+pattern, string(text), append(at, "responses", status, "content", "application/json", "schema")...)
	} else if len(text) > 0 {
		j.t.Errorf("%s answered %s with %q", pattern, status, text)
	}
	return answer, nil
}

// What the service takes and answers is what the document says, for every route; and the client has a method for each.
func TestEveryRouteKeepsToTheDocument(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	j := newJudge(t, s)
	c, err := client.New(s.URL, servicetest.Token)
	must(t, err)
	c.Through(j)
	s.Client = c
	live(t, s, c)
	for _, pattern := range j.doc.patterns() {
		if !j.good[pattern] {
			t.Errorf("%s was never used with success", pattern)
		}
	}
}

// live does everything that an operator can do.
func live(t *testing.T, s *servicetest.Service, c *client.Client) {
	ctx := t.Context()
	s.Populate("1.0.0", "1.1.0", "1.2.0")
	reason, half := "needs a new boot loader", "50"
	must(t, c.SetRelease(ctx, app, "amd64", "1.1.0", admin.ReleasePatch{Floor: &reason}))
	s.Point("alpha", "1.1.0")
	must(t, c.SetRelease(ctx, app, "amd64", "1.1.0", admin.ReleasePatch{AddDeltas: []store.Delta{servicetest.Delta("1.0.0"), servicetest.Delta("1.0.5")}}))
	must(t, c.SetRelease(ctx, app, "amd64", "1.1.0", admin.ReleasePatch{DropDeltas: []string{"1.0.5"}}))
	m := s.NewMachine("m1", "alpha", "1.0.0")
	offered(t, m.Poll(), "1.1.0")
	offers, err := c.Explain(ctx, app, "m1")
	must(t, err)
	if len(offers.Decision.Payloads) != 2 {
		t.Errorf("got %+v", offers.Decision)
	}
	m.Report(started)
	m.Report(rollback)
	must(t, c.Resume(ctx, app, "amd64", "1.1.0"))
	must(t, c.Halt(ctx, app, "amd64", "1.1.0", "a reason"))
	_, err = c.SetGroup(ctx, "alpha", admin.GroupPatch{App: app, Percent: &half})
	must(t, err)
	must(t, c.SpeedUp(ctx, app, "alpha", "amd64", "1.1.0", true))
	must(t, c.PinMachine(ctx, app, "m1", admin.Pin{Version: "1.2.0"}))
	show(t, c)
	_, err = c.Retry(ctx, app, "m1", "")
	must(t, err)
	must(t, c.UnpinMachine(ctx, app, "m1"))
	must(t, c.ForgetMachine(ctx, app, "m1"))
	must(t, c.AddChannel(ctx, app, "spare"))
	must(t, c.RemoveChannel(ctx, app, "spare"))
	_, err = c.SetGroup(ctx, "spare", admin.GroupPatch{App: app, Channel: new("stable")})
	must(t, err)
	must(t, c.RemoveGroup(ctx, app, "spare"))
	must(t, c.ForgetRelease(ctx, app, "amd64", "1.2.0"))
	token, err := c.AddToken(ctx, admin.TokenRequest{Name: "ada", Role: "viewer"})
	must(t, err)
	_, err = c.Tokens(ctx)
	must(t, err)
	must(t, c.RemoveToken(ctx, token.ID))
	all, err := c.Configuration(ctx)
	must(t, err)
	_, err = c.Apply(ctx, admin.Apply{Configuration: all, DryRun: true})
	must(t, err)
	made, err := c.Backup(ctx)
	must(t, err)
	if made.SizeBytes < 1000 {
		t.Errorf("the backup is %+v", made)
	}
}

// show looks at everything, while there is something to see; and at what there is not.
func show(t *testing.T, c *client.Client) {
	ctx := t.Context()
	_, err := c.Apps(ctx)
	must(t, err)
	releases, err := c.Releases(ctx, app)
	must(t, err)
	release, err := c.Release(ctx, app, "amd64", "1.1.0")
	must(t, err)
	if len(releases) != 3 || release.Floor == "" || release.Halt == nil || len(release.Barred) != 1 || len(release.Deltas) != 1 {
		t.Errorf("got %+v, %+v", releases, release)
	}
	_, err = c.Channels(ctx, app)
	must(t, err)
	_, err = c.Groups(ctx, app)
	must(t, err)
	group, err := c.Group(ctx, app, "alpha")
	must(t, err)
	if group.Machines != 1 || group.States["rolled-back"] != 1 || len(group.Failures) != 1 || len(group.Rollouts) == 0 {
		t.Errorf("got %+v", group)
	}
	rollouts, err := c.Rollouts(ctx, app, "alpha")
	must(t, err)
	if len(rollouts) == 0 || !rollouts[0].Emergency {
		t.Errorf("got %+v", rollouts)
	}
	_, err = c.Samples(ctx, app, "alpha", time.Hour, time.Now().Add(-time.Hour))
	must(t, err)
	_, err = c.Samples(ctx, app, "alpha", 0, time.Time{})
	must(t, err)
	machines, err := c.Find(ctx, app, client.Filter{Group: "alpha", State: "rolled-back", Version: "1.0.0", Limit: 1})
	must(t, err)
	if len(machines) != 1 {
		t.Errorf("got %+v", machines)
	}
	none, err := c.Find(ctx, app, client.Filter{After: "m1"})
	must(t, err)
	if len(none) != 0 {
		t.Errorf("after the last one there is %+v", none)
	}
	history, err := c.Machine(ctx, app, "m1")
	must(t, err)
	if len(history.Events) != 2 || len(history.Barred) != 1 || history.Pin == nil {
		t.Errorf("got %+v", history)
	}
	_, err = c.Explain(ctx, app, "m1")
	must(t, err)
	for _, id := range []string{"m1", ""} {
		events, err := c.Events(ctx, app, id, 1)
		must(t, err)
		if len(events) != 1 || events[0].Code != omaha.RolledBack {
			t.Errorf("events of %q: %+v", id, events)
		}
	}
	_, err = c.Activity(ctx, 0)
	must(t, err)
	_, err = c.FileUsage(ctx)
	must(t, err)
	if _, err := c.Group(ctx, app, "nowhere"); err == nil {
		t.Error("there is a group nowhere")
	}
	if err := c.AddRelease(ctx, store.Release{App: "none"}); err == nil {
		t.Error("a release of no application was taken")
	}
}
