package api_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/edge"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/wire/omaha"
)

// poll is what update_engine sends, with some more in it.
func poll(t *testing.T, id, filling string) []byte {
	t.Helper()
	text, err := omaha.NewRequest("test", omaha.Scheduled, omaha.AppRequest{
		ID: app, MachineID: id, Track: "alpha", Version: "1.0.0", Board: "amd64-usr", UpdateCheck: &omaha.UpdateCheckRequest{},
	}).Encode()
	must(t, err)
	return bytes.Replace(text, []byte("</request>"), []byte("<!--"+filling+"--></request>"), 1)
}

// send posts a body whose length is told, or not.
func send(t *testing.T, url string, body []byte, told bool) (status int, header http.Header, text string) {
	t.Helper()
	var from io.Reader = bytes.NewReader(body)
	if !told {
		from = io.MultiReader(from)
	}
	answer, err := http.Post(url+"/v1/update/", "text/xml", from)
	must(t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, answer.Header, string(read)
}

func TestBodiesOfAnySize(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	frame := len(poll(t, "m1", ""))
	for _, size := range []int{frame, 8 << 10, 8<<10 + 1, 8<<10 + 2, omaha.MaxRequestBytes, omaha.MaxRequestBytes + 1, 1 << 20} {
		body := poll(t, "m1", strings.Repeat("x", size-frame))
		for _, told := range []bool{true, false} {
			status, header, text := send(t, s.URL, body, told)
			if size > omaha.MaxRequestBytes {
				if status != http.StatusBadRequest || !strings.Contains(text, "more than 65536 bytes") {
					t.Errorf("%d bytes, told %v: got %d %s", size, told, status, text)
				}
				continue
			}
			if status != http.StatusOK || !strings.Contains(text, `version="1.1.0"`) || header.Get("Content-Length") != strconv.Itoa(len(text)) {
				t.Errorf("%d bytes, told %v: got %d %v %s", size, told, status, header, text)
			}
		}
	}
}

// What there is no room for is turned away with a time to come again, and nothing else is.
func TestTooMuchAtOnce(t *testing.T) {
	s := servicetest.Start(t, t.TempDir(), func(settings *api.Settings) { settings.Limits.UpdatePatience = time.Millisecond })
	s.Populate("1.1.0")
	large := poll(t, "m1", strings.Repeat("x", 20000))
	turnedAway := func(body []byte) {
		t.Helper()
		status, header, text := send(t, s.URL, body, true)
		wait, err := strconv.Atoi(header.Get("Retry-After"))
		if status != http.StatusServiceUnavailable || err != nil || wait < 30 || wait >= 90 || !strings.Contains(text, `"kind":"unavailable"`) {
			t.Errorf("got %d %v %s", status, header, text)
		}
	}
	answered := func(body []byte) {
		t.Helper()
		if status, _, text := send(t, s.URL, body, true); status != http.StatusOK {
			t.Errorf("got %d %s", status, text)
		}
	}
	empty := s.Fill()
	turnedAway(poll(t, "m1", ""))
	if _, err := s.Client.Apps(t.Context()); err != nil {
		t.Errorf("an operator got %v", err)
	}
	if status, text := ask(t, "GET", s.URL+"/metrics", "", nil); status != 200 || !strings.Contains(text, `conifer_updates_shed_total{busy="requests"} 1`) {
		t.Errorf("the metrics do not tell: %s", text)
	}
	empty()
	answered(poll(t, "m1", ""))
	report := bytes.Replace(poll(t, "m1", ""), []byte("</updatecheck>"), []byte(`</updatecheck><event eventtype="13" eventresult="1"></event>`), 1)
	empty = s.FillReports()
	turnedAway(report)
	answered(poll(t, "m1", ""))
	empty()
	answered(report)
	empty = s.FillLarge()
	turnedAway(large)
	answered(poll(t, "m1", ""))
	empty()
	answered(large)
}

// With a hundred times as many requests as there are places, each is answered or turned away, and those after them are answered.
func TestACrowd(t *testing.T) {
	s := servicetest.Start(t, t.TempDir(), func(settings *api.Settings) {
		settings.Limits.UpdatesInFlight, settings.Limits.UpdatePatience = 2, time.Millisecond
	})
	s.Populate("1.1.0")
	const crowd = 200
	statuses := make(chan int, crowd)
	for i := range crowd {
		go func() {
			answer, err := http.Post(s.URL+"/v1/update/", "text/xml", bytes.NewReader(poll(t, fmt.Sprint("m", i), "")))
			if err != nil {
				statuses <- 0
				return
			}
			answer.Body.Close()
			statuses <- answer.StatusCode
		}()
	}
	counted := map[int]int{}
	for range crowd {
		counted[<-statuses]++
	}
	if counted[200] == 0 || counted[200]+counted[503] != crowd {
		t.Errorf("got %v", counted)
	}
	if status, _, text := send(t, s.URL, poll(t, "late", ""), true); status != http.StatusOK {
		t.Errorf("afterwards: got %d %s", status, text)
	}
}

// A peer that begins a request and goes away leaves nothing behind.
func TestHalfARequest(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	must(t, err)
	body := poll(t, "m1", "")
	_, err = fmt.Fprintf(conn, "POST /v1/update/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2])
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && answer.StatusCode < 400 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, %v", answer, err)
	}
	conn.Close()
	machines, err := s.Client.Machines(t.Context(), app, "", "", 0)
	must(t, err)
	if len(machines) != 0 {
		t.Errorf("got %+v", machines)
	}
}

func TestAMachineBehindAProxy(t *testing.T) {
	trusted, err := edge.ParseProxies([]string{"127.0.0.1"})
	must(t, err)
	s := servicetest.Start(t, t.TempDir(), func(settings *api.Settings) { settings.Proxies = trusted })
	s.Populate("1.1.0")
	status, text := ask(t, "POST", s.URL+"/v1/update/", "", poll(t, "m1", ""), "X-Forwarded-For", "198.51.100.1, 192.0.2.7", "X-Forwarded-Proto", "https")
	if want := "https://" + strings.TrimPrefix(s.URL, "http://") + "/v1/files/conifer-os/"; status != 200 || !strings.Contains(text, want) {
		t.Errorf("no %s in %d %s", want, status, text)
	}
	m, err := s.Client.Machine(t.Context(), app, "m1")
	must(t, err)
	if m.Machine.Address != "192.0.2.7" {
		t.Errorf("its address is %s", m.Machine.Address)
	}
	ask(t, "PUT", s.URL+"/v1/files/metadata/timestamp.json", servicetest.Token, []byte("{}"))
	ask(t, "GET", s.URL+"/v1/files/metadata/timestamp.json", "", nil, "X-Forwarded-For", "192.0.2.7")
	uses, err := s.Client.FileUsage(t.Context())
	must(t, err)
	if len(uses) != 1 || uses[0].Address != "192.0.2.7" {
		t.Errorf("got %+v", uses)
	}
}

// A machine that has to wait for a place is told when to ask again.
func TestWhenToAskAgain(t *testing.T) {
	s := servicetest.Start(t, t.TempDir())
	s.Populate("1.1.0")
	_, err := s.Client.SetGroup(t.Context(), "alpha", admin.GroupPatch{App: app, MaxPerPeriod: new("1/10m")})
	must(t, err)
	offered(t, s.NewMachine("m1", "alpha", "1.0.0").Poll(), "1.1.0")
	refused := s.NewMachine("m2", "alpha", "1.0.0").Poll()
	if refused.Status != omaha.StatusNoUpdate || refused.PollInterval <= 0 || refused.PollInterval > 2*60*60 {
		t.Errorf("got %+v", refused)
	}
}

// BenchmarkUpdate is the handler of a poll, without the network.
func BenchmarkUpdate(b *testing.B) {
	s := servicetest.Start(b, b.TempDir())
	s.Populate("1.0.0")
	handler := s.Handler()
	text, err := omaha.NewRequest("test", omaha.Scheduled, omaha.AppRequest{
		ID: app, MachineID: "m1", Track: "alpha", Version: "1.0.0", Board: "amd64-usr", UpdateCheck: &omaha.UpdateCheckRequest{},
	}).Encode()
	if err != nil {
		b.Fatal(err)
	}
	request, err := http.NewRequest("POST", s.URL+"/v1/update/", nil)
	if err != nil {
		b.Fatal(err)
	}
	request.RemoteAddr, request.ContentLength = "192.0.2.1:4000", int64(len(text))
	b.ReportAllocs()
	for b.Loop() {
		request.Body = io.NopCloser(bytes.NewReader(text))
		w := discard{http.Header{}}
		handler.ServeHTTP(w, request)
	}
}

// discard is an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(status int) {
	if status != http.StatusOK {
		panic(status)
	}
}

// A report that is not on the disk in time is answered 503, and is written all the same.
func TestAReportThatTakesTooLong(t *testing.T) {
	folder := t.TempDir()
	s := servicetest.Start(t, folder)
	s.Populate("1.1.0")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(folder, "conifer.db")+"?_txlock=immediate")
	must(t, err)
	defer db.Close()
	holding, err := db.Begin() // nobody else can write until it ends
	must(t, err)
	body, err := omaha.NewRequest("test", omaha.Scheduled, omaha.AppRequest{
		ID: app, MachineID: "m1", Track: "alpha", Version: "1.0.0", Board: "amd64-usr", Events: []omaha.Event{started},
	}).Encode()
	must(t, err)
	soon, over := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer over()
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(soon, "POST", "/v1/update/", bytes.NewReader(body)))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	must(t, holding.Rollback())
	if status, _, text := send(t, s.URL, body, true); status != http.StatusOK {
		t.Errorf("got %d %s", status, text)
	}
	events, err := s.History.Events(t.Context(), app, "m1", 10)
	must(t, err)
	if len(events) != 2 {
		t.Errorf("of two reports %d are written", len(events))
	}
}
