package omaha

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What update_engine makes of a line of update.conf that it takes as it stands, quotes included.
func TestQuotedAlias(t *testing.T) {
	good := string(vector(t, "poll.request.xml"))
	for _, c := range []struct{ line, alias string }{
		{`"a b"`, `a b`}, {`""`, ``}, {`"`, `"`}, {`"a" b"`, `a" b`}, {`"a" b`, `"a" b`}, {`a "b"`, `a "b"`}, {`a"b`, `a"b`}, {`"a b`, `"a b`},
		{`""a""`, `"a"`}, {`" a "`, ` a `}, {`"a=b"`, `a=b`}, {`"a b" # mine`, `"a b" # mine`}, {`"a"/b`, `"a"/b`}, {`"a&#xE9;&lt;"`, `aé<`}, {`'a b'`, `'a b'`},
		{`"it's"`, `it's`}, {`"&quot;"`, `"`}, {`"a/b"`, `a/b`},
	} {
		for _, what := range []string{"machinealias", "oem"} {
			old := map[string]string{"machinealias": `machinealias=""`, "oem": `oem="qemu"`}[what]
			text := strings.Replace(good, old, what+`="`+c.line+`"`, 1)
			r, err := ParseRequest([]byte(text))
			if err != nil {
				t.Errorf("%s=%s: %v", what, c.line, err)
				continue
			}
			app := r.Apps[0]
			if got := map[string]string{"machinealias": app.MachineAlias, "oem": app.OEM}[what]; got != c.alias {
				t.Errorf("%s=%s: got %q, want %q", what, c.line, got, c.alias)
			}
			if app.Lang != "en-US" || app.Board != "amd64-usr" || app.AlephVersion != "4081.2.0" || len(app.Events) != 1 {
				t.Errorf("%s=%s: what follows is lost: %+v", what, c.line, app)
			}
		}
	}
}

// A stray quote is one wherever the tag goes on behind the value.
func TestStrayQuotesBeforeEveryEnd(t *testing.T) {
	for _, end := range []string{`/>`, ` />`, "\n/>", `></app>`, ` ></app>`, ` b="c"/>`, "\tb = 'c'></app>"} {
		for _, quote := range []string{`"`, `'`} {
			text := fmt.Sprintf(`<request protocol="3.0"><app appid="x" oem=%s%sa b%s%s%s</request>`, quote, quote, quote, quote, end)
			r, err := ParseRequest([]byte(text))
			if err != nil || r.Apps[0].OEM != "a b" {
				t.Errorf("%s: %+v, %v", text, r, err)
			}
		}
	}
}

func TestQuotedAliasVector(t *testing.T) {
	r, err := ParseRequest(vector(t, "alias.request.xml"))
	if err != nil {
		t.Fatal(err)
	}
	app := r.Apps[0]
	if app.MachineAlias != "web 3.rack-7" || app.Board != "arm64-usr" || r.Arch(&app) != "arm64" || !r.Manual() || app.Events[0].PreviousVersion != "" {
		t.Errorf("got %+v", app)
	}
}

// A request with everything in it that XML allows and clients rarely send.
func TestEverythingXML(t *testing.T) {
	r, err := ParseRequest(vector(t, "everything.request.xml"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Request{
		Protocol: "3.0", InstallSource: "scheduler", OS: OS{SP: "1_x", Arch: "arm64"},
		Apps: []AppRequest{
			{
				ID: "io.example.App", Version: "ForcedUpdate", MachineAlias: `<"é'>&`, Track: "a\n b", Ping: &Ping{"1"},
				Events: []Event{{Type: 3, Result: 0, ErrorCode: -1879048182}, {Type: 3, Result: 9, ErrorCode: 36}},
			},
			{ID: "{A}", Version: "4081.2.0.1", UpdateCheck: &UpdateCheckRequest{}},
			{ID: "b", Version: "3340.0.0+nightly-20220823-2100", Events: []Event{{Type: 14, Result: 1}}},
		},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseRequest(append([]byte("\ufeff"), vector(t, "poll.request.xml")...)); err != nil {
		t.Errorf("with a byte order mark: %v", err)
	}
}
