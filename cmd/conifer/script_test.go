package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/service/servicetest"
	"conifer.dev/conifer/internal/wire/omaha"
)

// TestServiceCommands runs each script of testdata/script against a service of its own. `conifer` is [Run], and
// `machine ID GROUP VERSION poll|started|rollback` is a machine that speaks with the service, and `image FOLDER VERSION`
// makes an image to publish.
func TestServiceCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			s := servicetest.Start(t, t.TempDir())
			env.Values["service"] = s
			env.Setenv("SERVER", s.URL)
			env.Setenv("TOKEN", filepath.Join(env.WorkDir, "admin.token"))
			env.Setenv("SHA256", strings.Repeat("ab", 32))
			return os.WriteFile(env.Getenv("TOKEN"), []byte(servicetest.Token+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"conifer": runConifer, "machine": runMachine, "image": writeImage},
	})
}

// runConifer expects exit code 0, or with ! another one.
func runConifer(ts *testscript.TestScript, neg bool, args []string) {
	args = append([]string{"--server", ts.Getenv("SERVER"), "--token-file", ts.Getenv("TOKEN")}, args...)
	code := Run(context.Background(), cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: ts.Stdout(), Stderr: ts.Stderr(), Getenv: ts.Getenv})
	if (code != 0) != neg {
		ts.Fatalf("conifer ended with exit code %d", code)
	}
}

// events are what a machine of a script can say.
var events = map[string][]omaha.Event{
	"started":  {{Type: omaha.DownloadStarted, Result: omaha.Success}},
	"rollback": {{Type: omaha.UpdateComplete, Result: omaha.Failed, ErrorCode: omaha.RolledBack}},
}

func runMachine(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value("service").(*servicetest.Service)
	m := s.NewMachine(args[0], args[1], args[2])
	if args[3] == "poll" {
		offer, _ := m.Poll().Offer()
		ts.Stdout().Write([]byte("offered: " + offer.Version + "\n"))
		return
	}
	m.Report(events[args[3]][0])
}
