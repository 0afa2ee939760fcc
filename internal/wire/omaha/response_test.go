package omaha

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
)

func sampleOffer() Offer {
	return Offer{
		Version: "1.1.0", Codebases: []string{"http://127.0.0.1:8000/v1/files/conifer-os/amd64/1.1.0/"},
		Payload: File{Name: "full.payload", SizeBytes: 12345, SHA256: strings.Repeat("ab", 32), SHA1: "I6DGNAOrJRUxPbCuLw+AITfiVMo="},
		Extra:   []File{{Name: "oem.raw", SizeBytes: 7, SHA256: strings.Repeat("cd", 32)}},
	}
}

func TestOfferOfAnotherServer(t *testing.T) {
	r, err := ParseResponse(vector(t, "nebraska.response.xml"))
	if err != nil {
		t.Fatal(err)
	}
	app, err := r.App("{E96281A6-d1af-4bde-9a0a-97b76e56dc57}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := app.UpdateCheck.Offer()
	if err != nil {
		t.Fatal(err)
	}
	want := Offer{
		Version: "4081.2.1", Codebases: []string{"https://images.example/amd64-usr/4081.2.1/"},
		Payload: File{
			Name: "os_update.gz", SizeBytes: 382137917, SHA1: "I6DGNAOrJRUxPbCuLw+AITfiVMo=",
			SHA256: "b2d2c6dd4fe8e00afc4cc1c5c13fd1581d22364696" + "38ee90b4baeaebe00705b0",
		},
		Extra: []File{{Name: "oem-qemu.gz", SizeBytes: 2282, SHA256: "8ab630ee4079ecd5f8f512c05b44fec5e4f8db844db916c67c8d54a575cfe506"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEncodedResponse(t *testing.T) {
	check, err := sampleOffer().UpdateCheck()
	if err != nil {
		t.Fatal(err)
	}
	r := NewResponse("conifer", 3600)
	r.Apps = []AppResponse{
		{ID: "conifer-os", Status: StatusOK, Ping: &Ack{StatusOK}, UpdateCheck: check, Events: []Ack{{StatusOK}}},
		{ID: "{other}", Status: StatusOK, UpdateCheck: NoUpdate(600)},
		UnknownApplication(&AppRequest{ID: "stranger", UpdateCheck: &UpdateCheckRequest{}}),
	}
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "offer.response.xml", text)
	back, err := ParseResponse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Error(diff)
	}
	offer, err := back.Apps[0].UpdateCheck.Offer()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleOffer(), offer); diff != "" {
		t.Error(diff)
	}
}

// What update_engine 0.4.10 treats as an invalid response is refused here too, so that the service cannot send it.
func TestParseResponseRefuses(t *testing.T) {
	good := string(vector(t, "offer.response.xml"))
	cases := []struct{ name, old, new, message string }{
		{"no codebase", `codebase="http://127.0.0.1:8000/v1/files/conifer-os/amd64/1.1.0/"`, "", "empty codebase"},
		{"no package name", `name="full.payload"`, `name=""`, "name or size"},
		{"no size", `size="12345"`, `size="0"`, "name or size"},
		{"no post-install action", `event="postinstall"`, `event="update"`, "no post-install action"},
		{"short digest", `sha256="q6ur`, `sha256="`, "base64"},
		{"digests that differ", strings.Repeat("ab", 32), strings.Repeat("ef", 32), "in its package"},
		{"no version", `manifest version="1.1.0"`, `manifest`, "no manifest with version"},
		{"another protocol", `protocol="3.0"`, `protocol="3.1"`, `protocol is "3.1"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("%q is not in the vector", c.old)
			}
			_, err := ParseResponse([]byte(strings.Replace(good, c.old, c.new, 1)))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, want Invalid with %q", err, c.message)
			}
		})
	}
}

func TestNoOffer(t *testing.T) {
	if _, err := NoUpdate(0).Offer(); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := NewResponse("conifer", 0).App("x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestOfferRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Offer){
		"no version":       func(o *Offer) { o.Version = "" },
		"no codebase":      func(o *Offer) { o.Codebases = nil },
		"empty codebase":   func(o *Offer) { o.Codebases = []string{"http://a/", ""} },
		"no name":          func(o *Offer) { o.Payload.Name = "" },
		"no size":          func(o *Offer) { o.Payload.SizeBytes = 0 },
		"short digest":     func(o *Offer) { o.Payload.SHA256 = "abc" },
		"not hex":          func(o *Offer) { o.Payload.SHA256 = strings.Repeat("xy", 32) },
		"digest of extra":  func(o *Offer) { o.Extra[0].SHA256 = "" },
		"no name of extra": func(o *Offer) { o.Extra[0].Name = "" },
	} {
		o := sampleOffer()
		spoil(&o)
		if _, err := o.UpdateCheck(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOfferWithManyFiles(t *testing.T) {
	o := sampleOffer()
	o.Codebases = []string{"http://a", "http://b/"}
	o.Extra = append(o.Extra, File{Name: "b.raw", SizeBytes: 8, SHA256: strings.Repeat("ef", 32)})
	check, err := o.UpdateCheck()
	if err != nil {
		t.Fatal(err)
	}
	back, err := check.Offer()
	if err != nil {
		t.Fatal(err)
	}
	o.Codebases[0] = "http://a/"
	if diff := cmp.Diff(o, back); diff != "" {
		t.Error(diff)
	}
}

// update_engine fails on any status of an update check but ok and noupdate.
func TestEncodeRefusesOtherStatuses(t *testing.T) {
	r := NewResponse("conifer", 0)
	r.Apps = []AppResponse{{ID: "x", Status: StatusOK, UpdateCheck: &UpdateCheck{Status: "error-internal"}}}
	if _, err := r.Encode(); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
	r.Apps[0].UpdateCheck = &UpdateCheck{Status: StatusOK}
	if _, err := r.Encode(); !fault.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownApplication(t *testing.T) {
	poll := UnknownApplication(&AppRequest{ID: "{X}", UpdateCheck: &UpdateCheckRequest{}, Events: make([]Event, 1), Ping: &Ping{}})
	if diff := cmp.Diff(AppResponse{ID: "{X}", Status: StatusUnknownApp, UpdateCheck: NoUpdate(0)}, poll); diff != "" {
		t.Error(diff)
	}
	if event := UnknownApplication(&AppRequest{ID: "x"}); event.UpdateCheck != nil {
		t.Errorf("an update check nobody asked for is answered: %+v", event)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	r := NewResponse("conifer", 0)
	text, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(r.AppendTo([]byte("before"))); got != "before"+string(text) {
		t.Errorf("got %s", got)
	}
}
