package omaha

import "testing"

func BenchmarkParseRequest(b *testing.B) {
	for _, name := range []string{"poll", "event", "alias", "everything"} {
		b.Run(name, func(b *testing.B) {
			text := vector(b, name+".request.xml")
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRequest(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// answerPoll is what the service does with a poll, into a buffer that it uses again.
func answerPoll(b *testing.B, check func() *UpdateCheck) {
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		r := NewResponse("conifer", 3600)
		r.Apps = []AppResponse{{
			ID: "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", Status: StatusOK,
			Ping: &Ack{StatusOK}, UpdateCheck: check(), Events: []Ack{{StatusOK}},
		}}
		buffer = r.AppendTo(buffer[:0])
	}
	b.SetBytes(int64(len(buffer)))
}

func BenchmarkAppendNoUpdate(b *testing.B) {
	answerPoll(b, func() *UpdateCheck { return NoUpdate(600) })
}

func BenchmarkAppendOffer(b *testing.B) {
	offer := sampleOffer()
	answerPoll(b, func() *UpdateCheck {
		check, err := offer.UpdateCheck()
		if err != nil {
			b.Fatal(err)
		}
		return check
	})
}

// BenchmarkAppendKeptOffer is with an update check that was made once and is kept.
func BenchmarkAppendKeptOffer(b *testing.B) {
	check, err := sampleOffer().UpdateCheck()
	if err != nil {
		b.Fatal(err)
	}
	answerPoll(b, func() *UpdateCheck { return check })
}

func BenchmarkEncodeOffer(b *testing.B) {
	check, err := sampleOffer().UpdateCheck()
	if err != nil {
		b.Fatal(err)
	}
	r := NewResponse("conifer", 3600)
	r.Apps = []AppResponse{{ID: "x", Status: StatusOK, Ping: &Ack{StatusOK}, UpdateCheck: check, Events: []Ack{{StatusOK}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseRefused are requests made to be slow: every quote is looked at, and none ends anything.
func BenchmarkParseRefused(b *testing.B) {
	for name, piece := range map[string]string{"quotes": `"`, "stray": `" a`, "references": "&amp;", "tags": "<a>", "comments": "<!---->"} {
		b.Run(name, func(b *testing.B) {
			text := []byte(`<request protocol="3.0" a="`)
			if piece[0] == '<' {
				text = []byte(`<request protocol="3.0">`)
			}
			for len(text)+len(piece) <= MaxRequestBytes {
				text = append(text, piece...)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRequest(text); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
