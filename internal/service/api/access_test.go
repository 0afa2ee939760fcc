package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/edge"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/service/store"
)

// exempt are the routes that need no token; each other one is below /v1/admin/, or takes a file.
var exempt = []string{
	"POST /v1/update", "POST /v1/update/{$}", "GET /v1/files/", "GET /v1/openapi.json", "GET /healthz", "GET /readyz", "GET /metrics",
}

// adminOnly and the reading routes; the rest is for operators.
var adminOnly = []string{"POST apps", "GET tokens", "POST tokens", "DELETE tokens/{id}", "POST backup"}

// needs is the role that a route needs, written down apart from the table.
func needs(pattern string) string {
	short := strings.Replace(pattern, "/v1/admin/", "", 1)
	switch {
	case contains(exempt, pattern):
		return ""
	case contains(adminOnly, short):
		return "admin"
	case strings.HasPrefix(pattern, "GET "):
		return "viewer"
	}
	return "operator"
}

func contains(list []string, one string) bool {
	for _, other := range list {
		if other == one {
			return true
		}
	}
	return false
}

// as is a client with a new token of the role.
func as(t *testing.T, s *servicetest.Service, role string) (*client.Client, string) {
	t.Helper()
	token, err := s.Client.AddToken(t.Context(), admin.TokenRequest{Name: "the " + role, Role: role})
	must(t, err)
	c, err := client.New(s.URL, token.Secret)
	must(t, err)
	return c, token.Secret
}

// Every route lets in who has the role that it needs or a higher one, and nobody else.
func TestAccess(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	ranks := []string{"", "viewer", "operator", "admin"}
	tokens := []string{""}
	for _, role := range ranks[1:] {
		_, secret := as(t, s, role)
		tokens = append(tokens, secret)
	}
	rank := func(role string) int {
		for i, r := range ranks {
			if r == role {
				return i
			}
		}
		t.Fatalf("no role %q", role)
		return 0
	}
	routes := s.Routes()
	for _, pattern := range routes {
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{$}", "", "{version}", "1", "{name}", "n", "{id}", "m").Replace(path)
		for have, token := range tokens {
			status, text := ask(t, method, s.URL+path, token, nil)
			want := have >= rank(needs(pattern))
			if got := status != http.StatusUnauthorized && status != http.StatusForbidden; got != want {
				t.Errorf("%s with role %q: got %d %s", pattern, ranks[have], status, text)
			}
			if !want && have > 0 && (status != http.StatusForbidden || !strings.Contains(text, "needs role "+needs(pattern))) {
				t.Errorf("%s with role %q: got %d %s", pattern, ranks[have], status, text)
			}
		}
		if status, _ := ask(t, method, s.URL+path, servicetest.Token+"x", nil); (status == http.StatusUnauthorized) != (needs(pattern) != "") {
			t.Errorf("%s with a wrong token: got %d", pattern, status)
		}
	}
	if len(routes) < 45 {
		t.Errorf("there are %d routes", len(routes))
	}
}

func TestTokensFromMakingToRemoval(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	must(t, s.Client.AddApp(t.Context(), store.App{ID: app, Name: "conifer"}))
	made, err := s.Client.AddToken(t.Context(), admin.TokenRequest{Name: "ada", Role: "operator", ExpiresInDays: 30})
	must(t, err)
	if made.Expires.Sub(made.Created).Hours() != 30*24 {
		t.Errorf("it expires %v after it was made", made.Expires.Sub(made.Created))
	}
	ada, err := client.New(s.URL, made.Secret)
	must(t, err)
	must(t, ada.AddChannel(t.Context(), app, "nightly"))
	entries, err := ada.Activity(t.Context(), 1)
	must(t, err)
	if len(entries) != 1 || entries[0].Who != "ada" || !strings.Contains(entries[0].Text, "nightly") {
		t.Errorf("the log says %+v", entries)
	}
	tokens, err := s.Client.Tokens(t.Context())
	must(t, err)
	if diff := cmp.Diff([]store.Token{made.Token}, tokens); diff != "" {
		t.Error(diff)
	}
	if status, text := ask(t, "GET", s.URL+"/v1/admin/tokens", servicetest.Token, nil); status != 200 || strings.Contains(text, "sha256") {
		t.Errorf("the list tells digests: %s", text)
	}
	must(t, s.Client.RemoveToken(t.Context(), made.ID))
	if _, err := ada.Apps(t.Context()); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("a removed token is taken: %v", err)
	}
}

// An operator may apply what an operator may do, and nothing of what needs an admin.
func TestWhoMayApplyWhat(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.0.0")
	operator, _ := as(t, s, "operator")
	all, err := operator.Configuration(t.Context())
	must(t, err)
	all.Groups[0].Percent = "50"
	applied, err := operator.Apply(t.Context(), admin.Apply{Configuration: all})
	must(t, err)
	if len(applied.Steps) != 1 {
		t.Errorf("got %q", applied.Steps)
	}
	other := all
	other.Apps = append([]store.App{{ID: "other", Name: "other"}}, all.Apps...)
	for name, wanted := range map[string]admin.Apply{"prune": {Configuration: all, Prune: true}, "a new application": {Configuration: other}} {
		if _, err := operator.Apply(t.Context(), wanted); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Client.Apply(t.Context(), wanted); err != nil {
			t.Errorf("%s by an admin: %v", name, err)
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	s := servicetest.Start(t, t.TempDir(), func(settings *api.Settings) {
		settings.Limits = api.Limits{AdminPerSecond: 0.001, AdminBurst: 3}
	})
	for i := range 4 {
		status, text, wait := askWhen(t, s.URL+"/v1/admin/apps", servicetest.Token)
		if i < 3 && status != 200 || i == 3 && (status != 429 || wait == "" || !strings.Contains(text, "127.0.0.1 makes too many requests")) {
			t.Errorf("request %d: got %d, Retry-After %q, %s", i, status, wait, text)
		}
	}
	if status, _ := ask(t, "GET", s.URL+"/healthz", "", nil); status != 200 {
		t.Errorf("monitoring got %d", status)
	}
	if _, err := s.Client.Apps(t.Context()); !fault.Is(err, fault.Throttled) {
		t.Errorf("the client got %v", err)
	}
}

// Who has given too many wrong tokens is not told whether the next one is right; others are not affected.
func TestTooManyWrongTokens(t *testing.T) {
	trusted, err := edge.ParseProxies([]string{"127.0.0.0/8"})
	must(t, err)
	s := servicetest.Start(t, t.TempDir(), func(settings *api.Settings) {
		settings.Limits.LoginBurst, settings.Proxies = 2, trusted
	})
	const from = "X-Forwarded-For"
	for i, step := range []struct {
		token, address string
		status         int
	}{
		{"wrong", "192.0.2.1", 401}, {"", "192.0.2.1", 401}, {servicetest.Token, "192.0.2.1", 200}, {"wrong", "192.0.2.1", 401},
		{servicetest.Token, "192.0.2.1", 429}, {"wrong", "192.0.2.1", 429}, {servicetest.Token, "192.0.2.2", 200},
	} {
		if status, text := ask(t, "GET", s.URL+"/v1/admin/apps", step.token, nil, from, step.address); status != step.status {
			t.Errorf("step %d: got %d %s", i, status, text)
		}
	}
}

func askWhen(t *testing.T, url, token string) (status int, text, wait string) {
	t.Helper()
	r, err := http.NewRequest("GET", url, nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	var b strings.Builder
	must(t, answer.Write(&b))
	return answer.StatusCode, b.String(), answer.Header.Get("Retry-After")
}
