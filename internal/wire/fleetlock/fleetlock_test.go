package fleetlock

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

// zincati is a body as Zincati sends it: indented, with an application-specific machine id.
const zincati = "{\n  \"client_params\": {\n    \"id\": \"c988d2509fdf4cdcbed39037c56406fb\",\n    \"group\": \"workers\"\n  }\n}"

func TestRequestVectors(t *testing.T) {
	cases := []struct {
		name, body string
		want       Params
	}{
		{"zincati", zincati, Params{"c988d2509fdf4cdcbed39037c56406fb", "workers"}},
		{"ours", `{"client_params":{"id":"m1","group":"default"}}` + "\n", Params{"m1", "default"}},
		{"a newer client", `{"v":2,"client_params":{"why":{"a":[1]},"group":"a.b-c","id":"Node 7"}}`, Params{"Node 7", "a.b-c"}},
		{"escapes", `{"client_params":{"id":"\u006d1","group":"default"}}`, Params{"m1", "default"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseRequest([]byte(c.body))
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
	body, err := Params{"m1", "default"}.Encode()
	if err != nil || string(body) != cases[1].body {
		t.Errorf("encoded %q, %v", body, err)
	}
}

func TestParseRequestRefuses(t *testing.T) {
	cases := []struct{ name, body, message string }{
		{"nothing", ``, "not a JSON object"},
		{"a list", `[]`, "not a JSON object"},
		{"cut off", zincati[:40], "unexpected EOF"},
		{"data after the end", zincati + "{}", "data after the end"},
		{"no params", `{}`, "client_params"},
		{"params are null", `{"client_params":null}`, "client_params"},
		{"no id", `{"client_params":{"group":"a"}}`, "id is missing"},
		{"another case", `{"client_params":{"ID":"m1","group":"a"}}`, "id is missing"},
		{"null id", `{"client_params":{"id":null,"group":"a"}}`, "not a string"},
		{"number", `{"client_params":{"id":7,"group":"a"}}`, "not a string"},
		{"two machines", `{"client_params":{"id":"m1","id":"m2","group":"a"}}`, "twice"},
		{"empty id", `{"client_params":{"id":"","group":"a"}}`, "client id"},
		{"two lines", `{"client_params":{"id":"a\nb","group":"a"}}`, "client id"},
		{"long id", `{"client_params":{"id":"` + strings.Repeat("x", 257) + `","group":"a"}}`, "client id"},
		{"no group", `{"client_params":{"id":"m1"}}`, "group is missing"},
		{"climbing group", `{"client_params":{"id":"m1","group":"../a"}}`, "group is not"},
		{"long group", `{"client_params":{"id":"m1","group":"` + strings.Repeat("x", 129) + `"}}`, "group is not"},
		{"not UTF-8", "{\"client_params\":{\"id\":\"\xff\",\"group\":\"a\"}}", "UTF-8"},
		{"too long", zincati + strings.Repeat(" ", MaxBytes), "longer than 4096"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRequest([]byte(c.body))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want invalid with %q", err, c.message)
			}
		})
	}
}

func TestHeaderHasToSayTrueOnce(t *testing.T) {
	if err := CheckHeader([]string{"true"}); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]string{nil, {"True"}, {"1"}, {"true", "true"}} {
		if err := CheckHeader(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestNewCall(t *testing.T) {
	p := Params{"m1", "default"}
	for base, want := range map[string]string{
		"http://127.0.0.1:8081":     "http://127.0.0.1:8081/v1/pre-reboot",
		"https://lock.example/base": "https://lock.example/base/v1/pre-reboot",
		"https://lock.example/b/":   "https://lock.example/b/v1/pre-reboot",
	} {
		call, err := NewCall(base, PreReboot, p)
		if err != nil || call.URL != want || call.Header[HeaderName] != "true" {
			t.Errorf("%s: got %+v, %v", base, call, err)
			continue
		}
		if back, err := ParseRequest(call.Body); err != nil || back != p {
			t.Errorf("body comes back as %+v, %v", back, err)
		}
	}
	for _, bad := range []string{"", "lock.example", "ftp://x", "http://", "http://x?y=1", "http://x/#f", "http://x\n"} {
		if _, err := NewCall(bad, PreReboot, p); !fault.Is(err, fault.Invalid) {
			t.Errorf("base %q: got %v", bad, err)
		}
	}
	if _, err := NewCall("http://x", PreReboot, Params{"", "default"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no id: got %v", err)
	}
	_, err := NewCall("ftp://user:secret@x", PreReboot, p)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is in the message: %v", err)
	}
}

func TestReplies(t *testing.T) {
	cases := []struct {
		name    string
		status  int
		body    string
		kind    fault.Kind
		message string
	}{
		{"busy", 409, `{"kind":"failed_lock_semaphore_full","value":"m2 holds it"}`, fault.Busy, "m2 holds it"},
		{"busy elsewhere", 423, ``, fault.Busy, "423"},
		{"busy as airlock says it", 500, `{"kind":"failed_lock","value":"all slots are taken"}`, fault.Internal, "all slots are taken"},
		{"unknown group", 404, `{"kind":"unknown_group","value":"no group a"}`, fault.NotFound, "no group a"},
		{"a proxy's page", 502, `<html>`, fault.Unavailable, "502"},
		{"a redirect", 302, ``, fault.Invalid, "302"},
		{"no content", 204, ``, fault.Invalid, "204"},
		{"a long page", 503, strings.Repeat("x", MaxBytes+1), fault.Unavailable, "503"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := ParseReply(c.status, []byte(c.body))
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v (%v), want %v with %q", err, fault.KindOf(err), c.kind, c.message)
			}
		})
	}
	if err := ParseReply(200, []byte("anything")); err != nil {
		t.Error(err)
	}
}

func TestErrorsKeepTheirKindAcrossTheWire(t *testing.T) {
	for _, row := range wireKinds {
		refusal := ErrorOf(fault.New(row.kind, "because"))
		body, err := refusal.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := ParseReply(refusal.Status(), body); !fault.Is(got, row.kind) {
			t.Errorf("%v comes back as %v", row.kind, got)
		}
	}
	for _, err := range []error{errors.New("x"), fault.New(fault.Corrupt, "x")} {
		if got := ErrorOf(err); got.Kind != KindInternal || got.Status() != 500 {
			t.Errorf("%v is told as %q, status %d", err, got.Kind, got.Status())
		}
	}
	if _, err := (Error{Kind: "x"}).Encode(); err == nil {
		t.Error("a refusal without value was encoded")
	}
}

func TestLongErrorFits(t *testing.T) {
	for _, unit := range []string{"x", "\x01", "é", "\xff", "<"} {
		body, err := ErrorOf(errors.New(strings.Repeat(unit, 5000))).Encode()
		if err != nil || len(body) > MaxBytes {
			t.Errorf("%q: %d bytes, %v", unit, len(body), err)
		}
		if _, err := ParseError(body); err != nil {
			t.Errorf("%q: %v", unit, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(zincati))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := ParseRequest(body)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("error of kind %v: %v", fault.KindOf(err), err)
			}
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatalf("a parsed request does not encode: %v", err)
		}
		back, err := ParseRequest(again)
		if err != nil {
			t.Fatalf("an encoded request does not parse: %v", err)
		}
		if diff := cmp.Diff(p, back); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseReply(f *testing.F) {
	f.Add(409, []byte(`{"kind":"failed_lock_semaphore_full","value":"m2 holds it"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if err := ParseReply(status, body); (err == nil) != (status == 200) {
			t.Errorf("status %d gave %v", status, err)
		}
		e, err := ParseError(body)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > MaxBytes { // escapes may lengthen what barely fitted
			return
		}
		if back, err := ParseError(again); err != nil || back != e {
			t.Errorf("%+v comes back as %+v, %v", e, back, err)
		}
	})
}
