package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// ask makes a request and returns the status and the body.
func ask(t *testing.T, method, url, token string, body []byte, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	must(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(text)
}

func TestErrorsAreJSON(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.0.0")
	cases := []struct {
		method, path, body string
		status             int
		message            string
	}{
		{"POST", "/v1/update/", "garbage", 400, "root element"},
		{"POST", "/v1/update/", strings.Repeat(" ", omaha.MaxRequestBytes+1), 400, "more than 65536 bytes"},
		{"POST", "/v1/update/", strings.Repeat(" ", omaha.MaxRequestBytes), 400, "root element"},
		{"POST", "/v1/admin/apps", `{"id":"x","nam":"y"}`, 400, `unknown field \"nam\"`},
		{"POST", "/v1/admin/apps", `{"id":"x","name":"y"} {}`, 400, "after the end"},
		{"POST", "/v1/admin/apps", `{"id":"x","name":"` + strings.Repeat("y", 1<<20) + `"}`, 400, "more than 1048576 bytes"},
		{"GET", "/v1/admin/releases?app=none", "", 404, `application \"none\" is unknown`},
		{"GET", "/v1/admin/machines?app=conifer&state=tired", "", 400, "no state"},
		{"GET", "/v1/admin/machines?app=conifer&limit=-1", "", 400, "positive"},
		{"GET", "/v1/admin/machines?app=conifer&limit=100001", "", 400, "up to 100000"},
		{"GET", "/v1/admin/machines?app=conifer&grop=alpha", "", 400, `no parameter \"grop\"`},
		{"GET", "/v1/admin/machines?limit=1", "", 400, `\"app\" is missing: id or name of the application`},
		{"GET", "/v1/admin/groups/alpha/samples?app=conifer&step=7m", "", 400, "5m, 1h and 24h"},
		{"GET", "/v1/admin/groups/alpha/samples?app=conifer&since=yesterday", "", 400, "not a time like"},
		{"GET", "/v1/admin/groups/none/samples?app=conifer", "", 404, "none"},
		{"GET", "/v1/admin/events?app=none", "", 404, `application \"none\" is unknown`},
		{"POST", "/v1/admin/tokens", `{"name":"x","role":"emperor"}`, 400, "no role"},
		{"POST", "/v1/admin/tokens", `{"name":"","role":"viewer"}`, 400, "no name of a token"},
		{"POST", "/v1/admin/tokens", `{"name":"x","role":"viewer","expires_in_days":-1}`, 400, "not 0 (never) to 3650"},
		{"GET", "/v1/files/none", "", 404, "no file none"},
		{"GET", "/v1/nothing", "", 404, "no GET /v1/nothing"},
		{"PUT", "/v1/admin/channels/stable", `{"app":"conifer","arch":"amd64","release":"9"}`, 404, "no release 9"},
	}
	for _, c := range cases {
		status, text := ask(t, c.method, s.URL+c.path, servicetest.Token, []byte(c.body))
		var e admin.Error
		if err := json.Unmarshal([]byte(text), &e); err != nil || e.Kind == "" {
			t.Errorf("%s %s: %q is no error: %v", c.method, c.path, text, err)
		}
		if status != c.status || !strings.Contains(text, c.message) {
			t.Errorf("%s %s: got %d %s", c.method, c.path, status, text)
		}
	}
}

func TestAnotherSiteCannotUseABrowser(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	status, _ := ask(t, "POST", s.URL+"/v1/admin/apps", servicetest.Token, []byte("{}"), "Sec-Fetch-Site", "cross-site")
	if status != http.StatusForbidden {
		t.Errorf("got %d", status)
	}
}

func TestSeveralApplicationsInOneRequest(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	must(t, s.Client.AddApp(t.Context(), store.App{ID: "{E96281A6-d1af-4bde-9a0a-97b76e56dc57}", Name: "flatcar"}))
	apps := []omaha.AppRequest{
		{ID: app, MachineID: "m1", Track: "alpha", Version: "1.0.0", Board: "amd64-usr", UpdateCheck: &omaha.UpdateCheckRequest{}},
		{ID: "e96281a6-d1af-4bde-9a0a-97b76e56dc57", MachineID: "m1", Ping: &omaha.Ping{Active: "1"}},
		{ID: "stranger", MachineID: "m1", UpdateCheck: &omaha.UpdateCheckRequest{}},
	}
	text, err := omaha.NewRequest("test", omaha.OnDemand, apps...).Encode()
	must(t, err)
	status, body := ask(t, "POST", s.URL+"/v1/update", "", text)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	r, err := omaha.ParseResponse([]byte(body))
	must(t, err)
	if len(r.Apps) != 3 || r.Apps[0].UpdateCheck.Status != omaha.StatusOK || r.Apps[1].Ping == nil ||
		r.Apps[1].ID != apps[1].ID || r.Apps[2].Status != omaha.StatusUnknownApp {
		t.Errorf("got %s", body)
	}
}

func TestWhereTheFilesAre(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.0.0")
	elsewhere := servicetest.Release("1.2.0")
	elsewhere.URL = "https://images.example/1.2.0"
	must(t, s.Client.AddRelease(t.Context(), elsewhere))
	must(t, s.Client.AddRelease(t.Context(), servicetest.Release("1.1.0")))
	m := s.NewMachine("m1", "alpha", "1.0.0")
	codebase := func(version string) string {
		t.Helper()
		s.Point("alpha", version)
		offer, err := m.Poll().Offer()
		must(t, err)
		return offer.Codebases[0]
	}
	s.ExternalURL = "https://updates.example/"
	if got := codebase("1.1.0"); got != "https://updates.example/v1/files/conifer-os/amd64/1.1.0/" {
		t.Error(got)
	}
	if got := codebase("1.2.0"); got != "https://images.example/1.2.0/" {
		t.Error(got)
	}
}

func TestFilesThroughTheService(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	url := s.URL + "/v1/files/metadata/timestamp.json"
	if status, text := ask(t, "PUT", url, servicetest.Token, []byte("{}")); status != http.StatusCreated {
		t.Fatalf("got %d %s", status, text)
	}
	if status, text := ask(t, "GET", url, "", nil); status != http.StatusOK || text != "{}" {
		t.Fatalf("got %d %s", status, text)
	}
	uses, err := s.Client.FileUsage(t.Context())
	must(t, err)
	if len(uses) != 1 || uses[0] != (admin.Use{Path: "metadata/timestamp.json", Address: "127.0.0.1", Requests: 1, Bytes: 2}) {
		t.Errorf("got %+v", uses)
	}
}

func TestMonitoring(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	s.NewMachine("m1", "alpha", "1.0.0").Poll()
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n", "/metrics": `conifer_contacts_total{answer="offer"} 1`} {
		if status, text := ask(t, "GET", s.URL+path, "", nil); status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s: got %d %s", path, status, text)
		}
	}
}
