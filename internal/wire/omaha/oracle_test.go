package omaha

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// errBeyond is about a document that encoding/xml reads and this package refuses on purpose.
var errBeyond = errors.New("beyond what is read here")

// oracle reads a document with encoding/xml, into a struct whose tags are the names in the document.
func oracle(text []byte, limitBytes int, target any) error {
	if len(text) > limitBytes || !utf8.Valid(text) {
		return errBeyond
	}
	if err := wellFormed(text); err != nil {
		return err
	}
	return xml.Unmarshal(text, target)
}

// wellFormed reads all tokens, because Unmarshal does not look at what follows the root element.
func wellFormed(text []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(text))
	for depth, roots := 0, 0; ; {
		from := dec.InputOffset()
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			depth++
		case xml.EndElement:
			depth--
		case xml.Directive:
			return errBeyond
		case xml.CharData:
			// encoding/xml takes references and CDATA outside the root element for white space, if that is what they say.
			if depth == 0 && strings.Trim(string(text[from:dec.InputOffset()]), " \t\r\n") != "" {
				return errBeyond
			}
		}
		if depth > maxDepth || roots > 1 {
			return errBeyond
		}
	}
}

func FuzzRequestOracle(f *testing.F) {
	seeds(f, "*.request.xml")
	f.Fuzz(func(t *testing.T, text []byte) {
		var want struct {
			XMLName xml.Name `xml:"request"`
			Request
		}
		if err := oracle(text, MaxRequestBytes, &want); err != nil {
			return
		}
		wantErr := want.validate()
		got, err := ParseRequest(text)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("got error %v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(&want.Request, got); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzResponseOracle(f *testing.F) {
	seeds(f, "*.response.xml")
	f.Fuzz(func(t *testing.T, text []byte) {
		var want struct {
			XMLName xml.Name `xml:"response"`
			Response
		}
		if err := oracle(text, MaxResponseBytes, &want); err != nil {
			return
		}
		wantErr := want.validate()
		got, err := ParseResponse(text)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("got error %v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(&want.Response, got); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzEncodeResponse writes whatever text in every place of a response; encoding/xml must read it back.
func FuzzEncodeResponse(f *testing.F) {
	f.Add("{x}", "ok", "1.0.0+a", "http://a/b?c=d&e", "a \"b\" 'c' <d>\n\r\t", int64(1), 0)
	f.Add("\xff", "\x00", "\ufffe", "\ufffd", "]]>", int64(-1), 600)
	f.Fuzz(func(t *testing.T, id, status, version, codebase, name string, size int64, seconds int) {
		r := &Response{Protocol: version, Server: name, DayStart: DayStart{seconds}, Apps: []AppResponse{
			{ID: id, Status: status, Ping: &Ack{status}, Events: []Ack{{status}, {name}}},
			{ID: name, UpdateCheck: &UpdateCheck{
				Status: status, PollInterval: seconds, URLs: &URLs{[]URL{{codebase}, {id}}}, Manifest: &Manifest{
					Version:  version,
					Packages: Packages{[]Package{{Name: name, SHA1: id, SHA256: status, SizeBytes: size, Required: size > 0}}},
					Actions:  Actions{[]Action{{Event: name, SHA256: id, DisablePayloadBackoff: size > 0}}},
				},
			}},
		}}
		text := r.AppendTo(nil)
		var back struct {
			XMLName xml.Name `xml:"response"`
			Response
		}
		if err := xml.Unmarshal(text, &back); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		// What XML cannot say was replaced once; the rest is as it was.
		want := *r
		replaceAll(&want)
		if diff := cmp.Diff(want, back.Response); diff != "" {
			t.Error(diff)
		}
	})
}

// sayable is text with U+FFFD for all that XML cannot say, byte by byte where it is not UTF-8.
func sayable(text *string) {
	var b strings.Builder
	for _, r := range *text {
		if !isCharacter(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	*text = b.String()
}

func replaceAll(r *Response) {
	sayable(&r.Protocol)
	sayable(&r.Server)
	for i := range r.Apps {
		a := &r.Apps[i]
		sayable(&a.ID)
		sayable(&a.Status)
		if a.Ping != nil {
			sayable(&a.Ping.Status)
		}
		for i := range a.Events {
			sayable(&a.Events[i].Status)
		}
		if a.UpdateCheck == nil {
			continue
		}
		sayable(&a.UpdateCheck.Status)
		for i := range a.UpdateCheck.URLs.URLs {
			sayable(&a.UpdateCheck.URLs.URLs[i].Codebase)
		}
		m := a.UpdateCheck.Manifest
		sayable(&m.Version)
		for i := range m.Packages.Packages {
			p := &m.Packages.Packages[i]
			sayable(&p.Name)
			sayable(&p.SHA1)
			sayable(&p.SHA256)
		}
		for i := range m.Actions.Actions {
			sayable(&m.Actions.Actions[i].Event)
			sayable(&m.Actions.Actions[i].SHA256)
		}
	}
}
