package omaha

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

func vector(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(vector(t, name)), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func TestRequestsOfUpdateEngine(t *testing.T) {
	cases := []struct {
		file        string
		ping, check bool
		events      []Event
	}{
		{"poll.request.xml", true, true, []Event{{Type: UpdateComplete, Result: SuccessReboot, PreviousVersion: NoPreviousVersion}}},
		{"event.request.xml", false, false, []Event{{Type: DownloadStarted, Result: Success}}},
		{"ping.request.xml", true, false, nil},
		{"rollback.request.xml", true, true, []Event{{Type: UpdateComplete, Result: Failed, ErrorCode: RolledBack}}},
		{"failed.request.xml", false, false, []Event{{Type: UpdateComplete, Result: Failed, ErrorCode: -2147483639}}},
	}
	for _, c := range cases {
		r, err := ParseRequest(vector(t, c.file))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		app := &r.Apps[0]
		if (app.Ping != nil) != c.ping || (app.UpdateCheck != nil) != c.check {
			t.Errorf("%s: ping %v, check %v", c.file, app.Ping, app.UpdateCheck)
		}
		if diff := cmp.Diff(c.events, app.Events); diff != "" {
			t.Errorf("%s: %s", c.file, diff)
		}
		if app.MachineID != "5f4dcc3b5aa765d61d8327deb882cf99" || app.Track != "stable" || app.Version != "4081.2.0" || r.Arch(app) != "amd64" {
			t.Errorf("%s: got %+v", c.file, app)
		}
	}
}

func TestRequestOfUERSWithUnknownAttributes(t *testing.T) {
	r, err := ParseRequest(vector(t, "uers.request.xml"))
	if err != nil {
		t.Fatal(err)
	}
	app := &r.Apps[0]
	if app.UpdateCheck == nil || app.Ping != nil || !r.Manual() {
		t.Errorf("got %+v", r)
	}
	if r.Arch(app) != "amd64" {
		t.Errorf("arch is %q; there is no board, so it follows from sp", r.Arch(app))
	}
}

func TestArch(t *testing.T) {
	cases := []struct {
		board, sp, arch, want string
	}{
		{"amd64-usr", "1_aarch64", "", "amd64"}, {"arm64-usr", "", "", "arm64"}, {"", "4081.2.0_aarch64", "", "arm64"},
		{"", "", "x64", "amd64"}, {"toaster", "1.0", "AArch64", "arm64"}, {"", "", "", ""}, {"toaster", "1_mips", "mips", ""},
		{"arm64-usr", "1_x86_64", "x64", "arm64"}, {"", "1_x86_64", "arm64", "arm64"}, {"", "3340.0.0+nightly-20220823-2100_x86_64", "", "amd64"},
	}
	for _, c := range cases {
		r := Request{OS: OS{SP: c.sp, Arch: c.arch}}
		if got := r.Arch(&AppRequest{Board: c.board}); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func TestEncodedRequest(t *testing.T) {
	r := NewRequest("conifer-agent-1.0.0", Scheduled, AppRequest{
		ID: "conifer-os", Version: "1.0.0", Track: "alpha", BootID: "b", MachineID: "m1", MachineAlias: `a "b" <c>`, Board: "amd64-usr",
		DeltaOkay: "false", Wariness: "0.25", Ping: &Ping{"1"}, UpdateCheck: &UpdateCheckRequest{},
		Events: []Event{{Type: UpdateComplete, Result: SuccessReboot, PreviousVersion: "0.9.0"}},
	})
	r.OS = OS{Version: "Conifer", Platform: "Linux", SP: "1.0.0_x86_64"}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "agent.request.xml", text)
	back, err := ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
}

// TestEncodedRequestOfDeltas is a machine that could apply deltas, gave one up, and downloaded another.
func TestEncodedRequestOfDeltas(t *testing.T) {
	r := NewRequest("conifer-agent-1.0.0", Scheduled, AppRequest{
		ID: "conifer-os", Version: "1.0.0", Track: "alpha", MachineID: "m1", Board: "amd64-usr", DeltaOkay: "false", Payloads: "delta-1 delta-2",
		Events: []Event{
			{Type: DownloadStarted, Result: Canceled, ErrorCode: 10, NextVersion: "1.1.0"},
			{Type: DownloadFinished, Result: Success, NextVersion: "1.2.0", Payload: DeltaPayload},
		},
	})
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "delta.request.xml", text)
	back, err := ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
	if events := back.Apps[0].Events; !events[0].GaveDeltaUp() || events[1].GaveDeltaUp() {
		t.Errorf("got %+v", events)
	}
}

func TestKnows(t *testing.T) {
	for payloads, want := range map[string]bool{
		"": false, "delta-1": true, "delta-2 delta-1": true, "\n\tdelta-1 ": true, "delta-10": false, "delta-1,delta-2": false, "Delta-1": false,
	} {
		if Knows(payloads, "delta-1") != want {
			t.Errorf("%q: got %v", payloads, !want)
		}
	}
	if Knows(" ", "") {
		t.Error("the empty word is known")
	}
}

func TestParseRequestRefuses(t *testing.T) {
	good := string(vector(t, "poll.request.xml"))
	replaced := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the vector", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	long := strings.Repeat("x", maxValueBytes+1)
	cases := []struct{ name, text, message string }{
		{"nothing", "", "no root element"},
		{"only a comment", "<!-- -->", "no root element"},
		{"not UTF-8", replaced(`oem="qemu"`, "oem=\"\xff\""), "not UTF-8"},
		{"another encoding", replaced("UTF-8", "ISO-8859-1"), `encoding is "ISO-8859-1"`},
		{"another XML", replaced(`<?xml version="1.0"`, `<?xml version="1.1"`), `XML version is "1.1"`},
		{"a document type inside", replaced("<ping", "<!ENTITY a 'b'><ping"), "document type"},
		{"an unknown entity", replaced(`oem="qemu"`, `oem="&nbsp;"`), "&nbsp is no reference"},
		{"an endless reference", replaced(`oem="qemu"`, `oem="&amp"`), "&amp is no reference"},
		{"a control character", replaced(`oem="qemu"`, `oem="&#1;"`), "attribute oem: a character"},
		{"a raw control character", replaced(`oem="qemu"`, "oem=\"\x01\""), "attribute oem: a character"},
		{"a character that is none", replaced(`oem="qemu"`, "oem=\"\ufffe\""), "attribute oem: a character"},
		{"a tag in a value", replaced(`oem="qemu"`, `oem="<b>"`), "< in the value of attribute oem"},
		{"no value", replaced(`<ping active="1"`, `<ping active`), "attribute active without ="},
		{"no quotes", replaced(`<ping active="1"`, `<ping active=1`), "attribute active has no quoted value"},
		{"a value without end", `<request protocol="3.0`, "unexpected end in the value"},
		{"a stray quote and no end", `<request protocol="3.0" installsource="a"b`, "unexpected end in the value"},
		{"crossed tags", replaced("</updatecheck>", "</ping>"), "<updatecheck> ends with </ping>"},
		{"an end too much", replaced("</app>", "</app></app>"), "<request> ends with </app>"},
		{"an end at first", "</request>" + good, "ends nothing"},
		{"no name", replaced("<ping", "< ping"), "no name after <"},
		{"two colons", replaced("<ping", "<a:b:ping"), "no name after <"},
		{"a number for a name", replaced("<ping active=", "<ping 1="), "no attribute name"},
		{"two comment ends", replaced("<ping", "<!-- -- --><ping"), "-- in a comment"},
		{"an endless comment", replaced("<ping", "<!-- <ping"), "unexpected end, -- is missing"},
		{"endless CDATA", replaced("<ping", "<![CDATA[<ping"), "unexpected end, ]]> is missing"},
		{"an end of CDATA", replaced("<ping", "]]><ping"), "]]> in text"},
		{"a number too large", replaced(`eventtype="3"`, `eventtype="99999999999999999999"`), "attribute eventtype"},
		{"too deep", replaced("<ping", strings.Repeat("<x>", maxDepth)+"<ping"), "more than 32 elements"},
		{"too many applications", replaced("</request>", strings.Repeat(`<app appid="x"/>`, maxApps)+"</request>"), "more than 64 applications"},
		{"a long alias", replaced(`machinealias=""`, `machinealias="`+long+`"`), "attribute machinealias"},
		{"not XML", "hello", "text before"},
		{"cut off", good[:len(good)-20], "unexpected end inside <app>"},
		{"two documents", good + good, "after the root"},
		{"text after", good + "x", "text before or after the root"},
		{"another root", replaced("<request", "<require") + "", "root element is <require>"},
		{"document type", `<!DOCTYPE request [<!ENTITY a "b">]>` + good, ""},
		{"another protocol", replaced(`protocol="3.0"`, `protocol="2.0"`), `protocol is "2.0"`},
		{"no application", `<request protocol="3.0"></request>`, "0 applications"},
		{"no application id", replaced(`appid="{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"`, ""), "no appid"},
		{"a word for a number", replaced(`eventtype="3"`, `eventtype="three"`), "invalid syntax"},
		{"long payloads", replaced(`machinealias=""`, `payloads="`+long+`"`), "attribute payloads"},
		{"a long payload", replaced(`previousversion="0.0.0.0"`, `payload="`+long+`"`), "attribute payload"},
		{"a long version", replaced(`version="4081.2.0"`, `version="`+long+`"`), "attribute version"},
		{"a long previous version", replaced(`previousversion="0.0.0.0"`, `previousversion="`+long+`"`), "previousversion"},
		{"too large", good + strings.Repeat(" ", MaxRequestBytes), "more than 65536"},
		{"too many events", replaced("</app>", strings.Repeat(`<event eventtype="1" eventresult="1"/>`, maxEvents)+"</app>"), "more than 64 events"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRequest([]byte(c.text))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want Invalid with %q", err, c.message)
			}
		})
	}
}

func TestErrorCodes(t *testing.T) {
	cases := []struct {
		code ErrorCode
		base ErrorCode
		text string
	}{
		{44, 44, "rolled back to the previous release (code 44)"},
		{-2147483639, 9, "download was interrupted (code 9)"}, // with the developer-mode flag
		{0x20000000 + 2503, 2503, "update service answered with HTTP status 503 (code 2503)"},
		{777, 777, "unknown error (code 777)"},
		{10, 10, "payload digest does not match (code 10)"},
	}
	for _, c := range cases {
		if c.code.Base() != c.base || c.code.String() != c.text {
			t.Errorf("%d: base %d, %q", c.code, c.code.Base(), c.code)
		}
	}
}

func TestForced(t *testing.T) {
	for version, want := range map[string]bool{
		"ForcedUpdate": true, "0.0.0": true, "0.0.0.0": true, "": false, "0.0.1": false, "4081.2.0": false, "0.0.0+nightly": false,
	} {
		if Forced(version) != want {
			t.Errorf("%q: got %v", version, !want)
		}
	}
}

func TestManual(t *testing.T) {
	for source, want := range map[string]bool{"ondemandupdate": true, "ondemand": true, "scheduler": false, "": false} {
		if r := (Request{InstallSource: source}); r.Manual() != want {
			t.Errorf("%q: got %v", source, !want)
		}
	}
}

func TestCanonicalID(t *testing.T) {
	for id, want := range map[string]string{"{AB-1}": "ab-1", "AB-1": "ab-1", "conifer-os": "conifer-os", "{x": "{x", "": ""} {
		if got := CanonicalID(id); got != want {
			t.Errorf("%q: got %q", id, got)
		}
	}
}
