package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/auth"
)

// The parts of an OpenAPI 3.1 document that the admin API needs (https://spec.openapis.org/oas/v3.1.1).
type (
	openAPI struct {
		OpenAPI    string                          `json:"openapi"`
		Info       map[string]string               `json:"info"`
		Paths      map[string]map[string]operation `json:"paths"`
		Components components                      `json:"components"`
	}
	components struct {
		Schemas  map[string]schema         `json:"schemas"`
		Security map[string]map[string]any `json:"securitySchemes"`
	}
	operation struct {
		ID         string                `json:"operationId"`
		Tags       []string              `json:"tags"`
		Summary    string                `json:"summary"`
		Access     string                `json:"x-access"` // the role that it needs
		Security   []map[string][]string `json:"security"`
		Parameters []parameter           `json:"parameters,omitempty"`
		Body       *content              `json:"requestBody,omitempty"`
		Responses  map[string]content    `json:"responses"`
	}
	parameter struct {
		Name     string `json:"name"`
		In       string `json:"in"`
		About    string `json:"description"`
		Required bool   `json:"required"`
		Schema   schema `json:"schema"`
	}
	content struct {
		About    string           `json:"description"`
		Required bool             `json:"required,omitempty"` // of a body
		Content  map[string]media `json:"content,omitempty"`
	}
	media struct {
		Schema schema `json:"schema"`
	}
)

// document describes the routes of the admin API.
func document(routes []route) []byte {
	types := schemas{known: map[string]schema{}}
	doc := openAPI{
		OpenAPI: "3.1.0",
		Info:    map[string]string{"title": "Conifer update service", "version": "1", "description": "The admin API: docs/ops/server.md says how to use it."},
		Paths:   map[string]map[string]operation{},
	}
	for _, r := range routes {
		if !r.documented() {
			continue
		}
		if doc.Paths[r.path()] == nil {
			doc.Paths[r.path()] = map[string]operation{}
		}
		doc.Paths[r.path()][strings.ToLower(r.method())] = describe(r, &types)
	}
	doc.Components = components{Schemas: types.known, Security: map[string]map[string]any{
		"token": {"type": "http", "scheme": "bearer", "description": "a token of the service"},
	}}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // it is made of texts and maps only
	}
	return append(text, '\n')
}

func describe(r route, types *schemas) operation {
	op := operation{
		ID: operationID(r), Tags: []string{noun(r)}, Summary: r.summary, Access: r.access.String(), Security: []map[string][]string{},
		Responses: map[string]content{"default": {About: "an error", Content: asJSON(types.of(typeOf[admin.Error]()))}},
	}
	if r.access != auth.Nobody {
		op.Security = append(op.Security, map[string][]string{"token": {}})
	}
	for _, found := range inBraces.FindAllStringSubmatch(r.path(), -1) {
		op.Parameters = append(op.Parameters, parameter{found[1], "path", "the " + found[1] + " of what it is about", true, schema{"type": "string"}})
	}
	for _, p := range r.query {
		op.Parameters = append(op.Parameters, parameter{p.name, "query", p.about, p.required, schema{"type": "string"}})
	}
	if r.body != nil {
		op.Body = &content{About: "what is wanted", Required: true, Content: asJSON(types.ofTaken(r.body))}
	}
	if r.shows == nil {
		op.Responses["204"] = content{About: "done"}
	} else {
		op.Responses["200"] = content{About: "the answer", Content: asJSON(types.of(r.shows))}
	}
	return op
}

var inBraces = regexp.MustCompile(`\{([a-z]+)\}`)

func asJSON(s schema) map[string]media { return map[string]media{"application/json": {s}} }

// noun is what a route is about: the first part of its path.
func noun(r route) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.path(), adminPrefix), "/")
	return first
}

// operationID is a name for generated clients: GET /v1/admin/groups/{name}/samples is getGroupsNameSamples.
func operationID(r route) string {
	id := strings.ToLower(r.method())
	for part := range strings.SplitSeq(strings.TrimPrefix(r.path(), adminPrefix), "/") {
		part = strings.Trim(part, "{}")
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func (s *Server) showDocument(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(s.document())
	return nil
}
