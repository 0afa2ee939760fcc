package omaha

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestGrammar writes documents by the rules of XML, breaks every other one in one place, and compares what is read in
// them with encoding/xml, in both directions.
func TestGrammar(t *testing.T) {
	read, refused, strays := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := drawDocument(t)
		var want struct {
			XMLName xml.Name `xml:"request"`
			Request
		}
		wantErr := oracle([]byte(strings.TrimPrefix(text, "\ufeff")), MaxRequestBytes, &want)
		if wantErr == nil {
			wantErr = want.validate()
		}
		got, err := ParseRequest([]byte(text))
		switch {
		case wantErr == nil && err != nil:
			t.Fatalf("encoding/xml reads what is refused here: %v\n%s", err, text)
		case wantErr == nil:
			read++
			if diff := cmp.Diff(&want.Request, got); diff != "" {
				t.Fatalf("%s\n%s", diff, text)
			}
		case err != nil:
			refused++
		case strings.Contains(wantErr.Error(), "invalid XML name"): // letters beyond ASCII are not looked at here
		case !hasStray(text):
			t.Fatalf("encoding/xml refuses what is read here: %v\n%s", wantErr, text)
		default:
			strays++
		}
	})
	if read == 0 || refused == 0 {
		t.Errorf("%d documents read, %d refused, %d with stray quotes", read, refused, strays)
	}
}

// hasStray reports whether the document was read only because stray quotes are understood.
func hasStray(text string) bool {
	s := scanner{text: text}
	for s.child() {
		s.skip()
	}
	return s.stray
}

var (
	somePieces = rapid.SampledFrom([]string{
		"", "a", "1", " b", "é", "\ufeff", "&amp;", "&lt;", "&#65;", "&#x1F600;", "&#xD800;", "&#13;", "\r\n", "\r", "\n", "\t", ">", "/", "=", "]]",
		"]", "-", "\uffff", "\x00", "\x1f", "&#0;", "&x;", "&", "<", "&#65", "&#xG;", "&#X41;", "&#99999999999;", "\"", "'", "0", "&gt;",
	})
	fewOddPieces = rapid.SampledFrom([]string{"a", "b c", "4081.2.0", "1", "&quot;", "&#x41;", " ", "\n", "é"})
	someSpace    = rapid.SampledFrom([]string{" ", " ", " ", "\n    ", "\t", "\r\n"})
	someTrivia   = rapid.SampledFrom([]string{
		"", "", "", "\n", "<!-- c -->", "<!--->-->", "<?pi a?>", "<?xml?>", "<?x?>", "text", "&amp;", "<![CDATA[a<b]]>", "<![CDATA[]]>", "]]&gt;", "é", "<a:b/>",
	})
	someNames = rapid.SampledFrom([]string{
		"protocol", "version", "appid", "machinealias", "x:track", "xmlns", "xmlns:x", ":a", "b:", "_", "eventtype", "active", "sp", "é", "wariness", "payloads", "payload",
	})
	someElements = rapid.SampledFrom([]string{"app", "app", "os", "event", "ping", "updatecheck", "x:event", "data", "request"})
)

func drawDocument(t *rapid.T) string {
	head := rapid.SampledFrom([]string{"", header, "<?xml version='1.0'?>", "<!-- a -->", "\n"}).Draw(t, "head")
	tail := rapid.SampledFrom([]string{"", "\n", "<!-- z -->", "<?z?>"}).Draw(t, "tail")
	var b strings.Builder
	b.WriteString(head + `<request protocol="3.0"` + drawAttrs(t) + ">" + `<app appid="x"` + drawAttrs(t) + "/>")
	for range rapid.IntRange(0, 3).Draw(t, "children") {
		b.WriteString(drawElement(t, 3))
	}
	b.WriteString("</request>" + tail)
	text := b.String()
	if rapid.Bool().Draw(t, "broken") {
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		to := rapid.IntRange(at, min(at+3, len(text))).Draw(t, "to")
		text = text[:at] + somePieces.Draw(t, "piece") + text[to:]
	}
	return text
}

func drawElement(t *rapid.T, depth int) string {
	name := someElements.Draw(t, "element")
	tag := "<" + name + drawAttrs(t)
	if rapid.Bool().Draw(t, "empty") {
		return tag + "/>"
	}
	text := tag + ">" + someTrivia.Draw(t, "trivia")
	if depth > 0 {
		for range rapid.IntRange(0, 2).Draw(t, "inner") {
			text += drawElement(t, depth-1) + someTrivia.Draw(t, "trivia")
		}
	}
	return text + "</" + name + rapid.SampledFrom([]string{"", " "}).Draw(t, "gap") + ">"
}

func drawAttrs(t *rapid.T) string {
	text := ""
	for range rapid.IntRange(0, 3).Draw(t, "attrs") {
		name := someNames.Draw(t, "name")
		quote := rapid.SampledFrom([]string{`"`, `'`}).Draw(t, "quote")
		value := rapid.SampledFrom([]string{"3", " -7 ", ""}).Draw(t, "number")
		if name == "protocol" {
			value = "3.0"
		} else if name != "eventtype" {
			value = strings.Join(rapid.SliceOfN(fewOddPieces, 0, 3).Draw(t, "value"), "")
		}
		equals := rapid.SampledFrom([]string{"=", "=", " = ", "=\n"}).Draw(t, "equals")
		text += someSpace.Draw(t, "space") + name + equals + quote + value + quote
	}
	return text + rapid.SampledFrom([]string{"", "", " "}).Draw(t, "end")
}
