package load_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"conifer.dev/conifer/bench/service/load"
	"conifer.dev/conifer/internal/wire/omaha"
)

// service answers like an update service: it counts polls by machine, and offers what offer says.
type service struct {
	mu     sync.Mutex
	polls  map[string]int
	events []omaha.Event
	offer  func(machine string) bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	request, err := omaha.ParseRequest(body)
	if err != nil || len(request.Apps) != 1 {
		http.Error(w, "garbage", http.StatusBadRequest)
		return
	}
	app := request.Apps[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !bytes.Contains(body, []byte("<updatecheck")):
		s.events = append(s.events, app.Events...)
		fmt.Fprint(w, `<response><app><event status="ok"></event></app></response>`)
	case s.offer != nil && s.offer(app.MachineID):
		fmt.Fprint(w, `<response><app><updatecheck status="ok"><manifest version="2.0.0"></manifest></updatecheck></app></response>`)
	default:
		s.polls[app.MachineID]++
		fmt.Fprint(w, `<response><app><updatecheck status="noupdate"></updatecheck></app></response>`)
	}
}

func start(t *testing.T, h http.Handler) load.Target {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	target, err := load.ParseTarget(server.URL + "/v1/update/")
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func run(t *testing.T, plan load.Plan) load.Result {
	t.Helper()
	result, err := load.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if result.Errors != 0 || result.Of(load.Strange).Count != 0 {
		t.Errorf("%d errors, %d strange answers", result.Errors, result.Of(load.Strange).Count)
	}
	return result
}

// The messages are what our own codec, and update_engine's vectors with it, take for a machine's words.
func TestMessagesAreOmaha(t *testing.T) {
	fleet, target := load.Flatcar("stable", "4081.2.0"), load.Target{Address: "127.0.0.1:8000", Path: "/v1/update/"}
	tests := map[string]struct {
		message *load.Message
		events  int
		check   bool
	}{
		"poll":  {fleet.Poll(target, ""), 1, true},
		"ping":  {fleet.Ping(target), 0, false},
		"event": {fleet.Event(target, `eventtype="3" eventresult="0" errorcode="44"`), 1, false},
	}
	for name, test := range tests {
		for _, number := range []int{0, 7, 9_999_999} {
			request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(test.message.From(number))))
			if err != nil {
				t.Fatal(name, err)
			}
			body, err := io.ReadAll(request.Body)
			if err != nil {
				t.Fatal(name, err)
			}
			parsed, err := omaha.ParseRequest(body)
			if err != nil {
				t.Fatal(name, err)
			}
			app := parsed.Apps[0]
			if app.MachineID != fleet.MachineID(number) || app.Version != "4081.2.0" || app.Track != "stable" || len(app.Events) != test.events {
				t.Errorf("%s of machine %d: %+v", name, number, app)
			}
			if bytes.Contains(body, []byte("<updatecheck")) != test.check {
				t.Errorf("%s: an update check is in it, or missing", name)
			}
		}
	}
}

func TestMachinesInTheOrderOfTheirIDs(t *testing.T) {
	fleet, before, seen := load.Flatcar("stable", "1"), "", map[int32]bool{}
	for _, number := range fleet.ByID(1000) {
		if id := fleet.MachineID(int(number)); id <= before {
			t.Fatalf("%s comes after %s", id, before)
		} else {
			before = id
		}
		seen[number] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different machines", len(seen))
	}
}

func TestEveryMachineRegistersOnce(t *testing.T) {
	s := &service{polls: map[string]int{}}
	fleet := load.Flatcar("stable", "4081.2.0")
	result := run(t, load.Plan{
		Target: start(t, s), Fleet: fleet, Mode: load.Register, Machines: 500, Offset: 100, Connections: 8, Duration: time.Minute,
	})
	for number := 100; number < 600; number++ {
		if n := s.polls[fleet.MachineID(number)]; n != 1 {
			t.Fatalf("machine %d asked %d times", number, n)
		}
	}
	if result.Requests != 500 || result.Of(load.NoUpdate).Count != 500 {
		t.Errorf("counted %+v", result)
	}
}

// Distinct machines are counted, not offers: a machine that asks again is offered again.
// A connection is kept, or used for one request.
func TestFreshConnections(t *testing.T) {
	for fresh, want := range map[bool]int{false: 2, true: 20} {
		s, peers := &service{polls: map[string]int{}}, sync.Map{}
		target := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			peers.Store(r.RemoteAddr, true)
			s.ServeHTTP(w, r)
		}))
		plan := load.Plan{
			Target: target, Fleet: load.Flatcar("stable", "4081.2.0"), Mode: load.Register, Machines: 20, Connections: 2, Fresh: fresh, Duration: time.Minute,
		}
		run(t, plan)
		got := 0
		peers.Range(func(any, any) bool { got++; return true })
		if got > want || fresh && got != want {
			t.Errorf("fresh %v: 20 requests came on %d connections, want %d", fresh, got, want)
		}
	}
}

// When the service closes a connection after an answer, the next request dials.
func TestClosedConnectionsAreDialledAgain(t *testing.T) {
	s := &service{polls: map[string]int{}}
	target := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		s.ServeHTTP(w, r)
	}))
	result := run(t, load.Plan{
		Target: target, Fleet: load.Flatcar("stable", "4081.2.0"), Mode: load.Register, Machines: 20, Connections: 2, Duration: time.Minute,
	})
	if result.Of(load.NoUpdate).Count != 20 {
		t.Errorf("counted %+v", result)
	}
}

func TestOffersAreCountedByMachine(t *testing.T) {
	fleet := load.Flatcar("stable", "4081.2.0")
	lucky := map[string]bool{fleet.MachineID(3): true, fleet.MachineID(5): true}
	s := &service{polls: map[string]int{}, offer: func(machine string) bool { return lucky[machine] }}
	result := run(t, load.Plan{
		Target: start(t, s), Fleet: fleet, Mode: load.Poll, Machines: 10, Connections: 2, EventShare: .3, Duration: 200 * time.Millisecond,
	})
	if result.Offered != 2 || result.Of(load.Offer).Count < 2 {
		t.Errorf("%d machines were offered an update, by %d answers", result.Offered, result.Of(load.Offer).Count)
	}
	if len(s.events) == 0 || s.events[0].Type != omaha.DownloadStarted {
		t.Errorf("events are %v", s.events)
	}
}

func TestFlowIsAWholeUpdate(t *testing.T) {
	s := &service{polls: map[string]int{}}
	run(t, load.Plan{
		Target: start(t, s), Fleet: load.Flatcar("stable", "4081.2.0"), Mode: load.Flow, NewVersion: "4081.2.1", Machines: 1,
		Connections: 1, Duration: 100 * time.Millisecond,
	})
	var told []string
	for _, e := range s.events[:3] {
		told = append(told, fmt.Sprintf("%d/%d", e.Type, e.Result))
	}
	if text := strings.Join(told, " "); text != "13/1 14/1 3/1" {
		t.Errorf("the machine told %s", text)
	}
}

// In an open loop a slow answer makes the next ones late, and the lateness is told.
func TestOpenLoopTellsLateness(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		time.Sleep(20 * time.Millisecond)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	result := run(t, load.Plan{
		Target: start(t, slow), Fleet: load.Flatcar("stable", "1"), Mode: load.Poll, Machines: 10, Connections: 1, Rate: 500,
		Duration: 500 * time.Millisecond,
	})
	busy := result.Of(load.Busy)
	if busy.Count == 0 || result.Latency.Max < 5*busy.Latency.P50 {
		t.Errorf("an answer takes %v, and the latest was %v late", busy.Latency.P50, result.Latency.Max)
	}
}

func TestAnswers(t *testing.T) {
	tests := map[string]struct {
		answer load.Answer
		want   load.Kind
	}{
		"offer":    {load.Answer{Status: 200, Body: []byte(`<response><app status="error"><updatecheck status="ok">`)}, load.Offer},
		"noupdate": {load.Answer{Status: 200, Body: []byte(`<updatecheck status="noupdate"/>`)}, load.NoUpdate},
		"events":   {load.Answer{Status: 200, Body: []byte(`<response protocol="3.0"></response>`)}, load.Acknowledged},
		"shed":     {load.Answer{Status: 503}, load.Busy},
		"garbage":  {load.Answer{Status: 400}, load.Refused},
		"error":    {load.Answer{Status: 200, Body: []byte(`<updatecheck status="error-internal">`)}, load.Strange},
		"a page":   {load.Answer{Status: 200, Body: []byte(`<html>`)}, load.Strange},
	}
	for name, test := range tests {
		if got := test.answer.Kind(); got != test.want {
			t.Errorf("%s is %v, want %v", name, got, test.want)
		}
	}
}

// Answers without a length, in pieces, and closed connections are all read.
func TestAnswersOfEveryShape(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for name, shape := range map[string]func(w http.ResponseWriter){
		"with a length": func(w http.ResponseWriter) { w.Header().Set("Content-Length", "40000") },
		"in chunks":     func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"closing":       func(w http.ResponseWriter) { w.Header().Set("Connection", "close") },
	} {
		target := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			shape(w)
			io.WriteString(w, long)
		}))
		c, err := load.Dial(target)
		if err != nil {
			t.Fatal(err)
		}
		message := load.Flatcar("stable", "1").Ping(target)
		for range 3 {
			answer, err := c.Do(message.From(1))
			if err != nil || answer.Status != 200 || string(answer.Body) != long {
				t.Errorf("%s: status %d, %d bytes, error %v", name, answer.Status, len(answer.Body), err)
			}
		}
		c.Close()
	}
}

// The CPU of a process counts with that of its children, those that ended too.
func TestUsageCountsChildren(t *testing.T) {
	before := load.Process{PID: os.Getpid()}.Usage()
	if err := exec.CommandContext(t.Context(), "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done").Run(); err != nil {
		t.Fatal(err)
	}
	after := load.Process{PID: os.Getpid()}.Usage()
	if after.CPU <= before.CPU || after.ResidentMiB <= 0 || after.PeakMiB <= 0 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}
