package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/imagetest"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/wire/omaha"
)

// TestScripts runs each script of testdata/script as an operator does, in this process, against a service of its own whose
// data is in $WORK/data. `conifer` must exit 0, `! conifer` must exit 1, and `usage` must exit 2. Beside them there are
// `machine`, which speaks with the service; `image`, which makes one to publish; and `shape`, which prints the shape of the JSON
// that the command before printed. $HOST serves the script's folder, and $STDIN may name a file to read.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"conifer": func(ts *testscript.TestScript, neg bool, args []string) {
				want := 0
				if neg {
					want = 1
				}
				expect(ts, want, args)
			},
			"usage":   func(ts *testscript.TestScript, _ bool, args []string) { expect(ts, 2, args) },
			"machine": runMachine,
			"image":   writeImage,
			"shape":   printShape,
		},
	})
}

func setUp(env *testscript.Env) error {
	t := env.T().(testing.TB)
	data := filepath.Join(env.WorkDir, "data")
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	s := servicetest.Start(t, data)
	host := httptest.NewServer(http.FileServer(http.Dir(env.WorkDir)))
	t.Cleanup(host.Close)
	env.Values["service"] = s
	token := filepath.Join(env.WorkDir, "admin.token")
	env.Setenv("HOST", host.URL)
	env.Setenv("CONIFER_SERVER", s.URL)
	env.Setenv("CONIFER_TOKEN_FILE", token)
	env.Setenv("SHA256", strings.Repeat("ab", 32))
	return os.WriteFile(token, []byte(servicetest.Token+"\n"), 0o600)
}

func expect(ts *testscript.TestScript, want int, args []string) {
	stdin := ""
	if name := ts.Getenv("STDIN"); name != "" {
		stdin = ts.ReadFile(name)
	}
	env := cli.Env{Args: args, Stdin: strings.NewReader(stdin), Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv}
	if code := Run(context.Background(), env); code != want {
		ts.Fatalf("exit code is %d, want %d", code, want)
	}
}

// writeImage is `image FOLDER VERSION`.
func writeImage(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(imagetest.Write(filepath.Clean(args[0]), args[1]))
}

// events are what a machine of a script can say.
var events = map[string]omaha.Event{
	"started":   {Type: omaha.DownloadStarted, Result: omaha.Success},
	"finished":  {Type: omaha.DownloadFinished, Result: omaha.Success},
	"installed": {Type: omaha.UpdateComplete, Result: omaha.Success},
	"gave-up":   {Type: omaha.DownloadStarted, Result: omaha.Canceled, ErrorCode: 10},
	"delta":     {Type: omaha.DownloadFinished, Result: omaha.Success, Payload: omaha.DeltaPayload},
	"rollback":  {Type: omaha.UpdateComplete, Result: omaha.Failed, ErrorCode: omaha.RolledBack},
}

// runMachine is `machine ID GROUP VERSION poll|EVENT [FEATURE…]`: with features it says that it can apply such payloads.
func runMachine(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value("service").(*servicetest.Service)
	m := s.NewMachine(args[0], args[1], args[2])
	m.Payloads = strings.Join(args[4:], " ")
	if args[3] == "poll" {
		offer, _ := m.Poll().Offer()
		fmt.Fprintln(ts.Stdout(), "offered: "+offer.Version)
		fmt.Fprintln(ts.Stdout(), "payload: "+offer.Payload.Name)
		return
	}
	m.Report(events[args[3]])
}

// printShape is `shape`: one line for every place in the JSON that the command before printed, with its type.
func printShape(ts *testscript.TestScript, _ bool, _ []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	places := map[string]string{}
	shape("", value, places)
	for _, place := range slices.Sorted(maps.Keys(places)) {
		fmt.Fprintln(ts.Stdout(), strings.TrimSpace(place+" "+places[place]))
	}
}

func shape(at string, value any, places map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		places[at] = "object"
		for key, inner := range v {
			shape(at+"."+key, inner, places)
		}
	case []any:
		places[at] = "list"
		for _, inner := range v {
			shape(at+"[]", inner, places)
		}
	case float64:
		places[at] = "number"
	default:
		places[at] = fmt.Sprintf("%T", v)
	}
}
