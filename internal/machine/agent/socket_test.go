package agent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/machine/update"
	"conifer.dev/conifer/internal/wire/release"
)

// still is an agent that does not run, in the middle of an installation.
func still() *Agent {
	a := &Agent{Disk: &Disk{}, Running: named("1.1.0"), Names: Names{"id", "http://server", "demo"}}
	a.once.Do(a.init)
	a.state = update.State{
		Phase: update.Installing, Target: update.Target{Release: named("1.2.0"), Codebase: "http://secret/"}, Lock: update.LockNone,
		Failed: map[string]update.Failure{"1.0.0": {Why: "it did not come up"}}, Problem: &update.Problem{Why: "no route"},
	}
	a.meter.begin(&release.Release{Payload: release.Payload{SizeBytes: 1000}}, nil)
	a.meter.downloaded.Store(500)
	return a
}

func named(version string) update.Release {
	return update.Release{Version: version, RootHash: strings.Repeat("ab", 32)}
}

func call(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestStrangersMayOnlyLook(t *testing.T) {
	a := still()
	for _, c := range []struct {
		method, path    string
		inside, outside int
	}{
		{"GET", "/status", 200, 200}, {"GET", "/metrics", 200, 200}, {"GET", "/healthz", 200, 200},
		{"POST", "/retry?version=9", 404, 404}, {"GET", "/check", 405, 404}, {"POST", "/status", 405, 405},
	} {
		if got := call(a.handler(local), c.method, c.path).Code; got != c.inside {
			t.Errorf("%s %s on the socket: %d, want %d", c.method, c.path, got, c.inside)
		}
		if got := call(a.handler(remote), c.method, c.path).Code; got != c.outside {
			t.Errorf("%s %s on the network: %d, want %d", c.method, c.path, got, c.outside)
		}
	}
	for _, path := range []string{"/check", "/retry?version=1.0.0"} {
		if got := call(a.handler(remote), "POST", path).Code; got != 404 {
			t.Errorf("POST %s on the network: %d", path, got)
		}
	}
	outside := call(a.handler(remote), "GET", "/status").Body.String()
	for _, secret := range []string{"secret", "http://server", "did not come up", "no route", `"machine_id"`} {
		if strings.Contains(outside, secret) {
			t.Errorf("the network sees %s:\n%s", secret, outside)
		}
	}
	var st Status
	inside := call(a.handler(local), "GET", "/status").Body.Bytes()
	if err := json.Unmarshal(inside, &st); err != nil || st.Server != "http://server" || st.Progress.DownloadedBytes != 500 || st.Target.Version != "1.2.0" {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestMetrics(t *testing.T) {
	a := still()
	text := call(a.handler(remote), "GET", "/metrics").Body.String()
	for _, want := range []string{
		"# TYPE conifer_agent_phase gauge\n", `conifer_agent_phase{phase="installing"} 1` + "\n", `conifer_agent_phase{phase="idle"} 0` + "\n",
		"conifer_agent_failed_releases 1\n", `conifer_agent_running_info{version="1.1.0"} 1` + "\n", "conifer_agent_problem 1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "# HELP conifer_agent_phase "); n != 1 {
		t.Errorf("conifer_agent_phase is described %d times", n)
	}
}

func TestAnAgentThatCannotSaveIsNotHealthy(t *testing.T) {
	a := still()
	a.stuck = "save state: no space"
	if w := call(a.handler(remote), "GET", "/healthz"); w.Code != 503 || strings.Contains(w.Body.String(), "no space") {
		t.Errorf("%d %s", w.Code, w.Body.String())
	}
	if st := a.Status(); st.WaitsFor != "save state: no space" {
		t.Errorf("waits for %q", st.WaitsFor)
	}
}

func TestAnOccupiedAgentSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := still()
		if w := call(a.handler(local), "POST", "/check"); w.Code != 409 {
			t.Errorf("%d %s", w.Code, w.Body.String())
		}
	})
}

func TestTheSocketIsRootsAlone(t *testing.T) {
	path := t.TempDir() + "/s"
	for range 2 { // a killed agent leaves its socket
		l, err := listenSocket(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
		l.Close()
	}
}

func TestStatusInPlainWords(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	st := Status{
		Summary: "installing 1.2.0", WaitsFor: "nothing", Running: update.Release{Version: "1.1.0", RootHash: "abcd"}, RebootLock: update.LockHeld,
		NewestCommitted: "1.1.0", Failed: map[string]update.Failure{"1.0.5": {Why: "it did not come up", At: at}}, Declined: "1.0.5", NoDelta: []string{"1.2.0"},
		Problem: &update.Problem{Why: "no answer", Kind: "unavailable", At: at}, ReportsWaiting: 2, LastCheck: &at, NextCheckSeconds: 90,
		Progress: &Progress{DownloadedBytes: 20e6, DoneBytes: 50e6, TotalBytes: 100e6, Seconds: 10, DeltaFrom: "1.1.0", SavedBytes: 180e6},
		Slots:    []SlotStatus{{"A", "", false}, {"B", "1.1.0", true}}, Entries: []EntryStatus{{Version: "1.1.0"}},
		MachineID: "id", Server: "http://server", Group: "demo",
	}
	var out strings.Builder
	st.Print(&out)
	want := `state            installing 1.2.0
waits for        nothing
progress         50.0 MB of 100 MB written, 20.0 MB downloaded, 2.0 MB/s, 10s left; delta from 1.1.0, which saves 180 MB
running          1.1.0, root hash abcd (dm-verity)
slot A           empty
slot B           1.1.0, running, committed
reboot lock      held
newest committed 1.1.0
failed           1.0.5: it did not come up (2026-03-01T12:00:00Z)
delta failed     1.2.0: taken in full
declined         1.0.5 is offered but failed here; ` + "`conifer-agent retry 1.0.5`" + ` allows it again
last problem     no answer (unavailable, 2026-03-01T12:00:00Z)
reports waiting  2
last check       2026-03-01T12:00:00Z
next check       in 1m30s
service          http://server, group demo, as id
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
