package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/internal/fault"
)

func TestExitPrintsMessageAndHintApart(t *testing.T) {
	var stderr bytes.Buffer
	env := Env{Stderr: &stderr}
	code := env.Exit("conifer", fault.New(fault.Invalid, "no such channel").WithHint("List them."))
	if code != 2 || stderr.String() != "conifer: no such channel\nhint: List them.\n" {
		t.Errorf("code %d, stderr %q", code, stderr.String())
	}
	if env.Exit("conifer", nil) != 0 {
		t.Error("no error must exit 0")
	}
}

func TestProgressOnATerminalShowsRateAndRemainingTime(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := NewProgress(&out, "download", 100_000_000)
	p.terminal, p.start, p.now = true, now, func() time.Time { return now }
	now = now.Add(2 * time.Second)
	p.Add(20_000_000)
	p.draw()
	for _, want := range []string{"20.0 MB", "10.0 MB/s", "20 %", "8s left"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q: %q", want, out.String())
		}
	}
	p.End()
	if !strings.HasSuffix(out.String(), "download: 20.0 MB in 2s\n") {
		t.Errorf("ends with %q", out.String())
	}
	length := out.Len()
	if p.draw(); out.Len() != length {
		t.Errorf("draws after its end: %q", out.String()[length:])
	}
}

func TestWaitSaysHowLongItUsuallyTakes(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := NewWait(&out, "install", 90*time.Second)
	if out.String() != "install, about 1m30s …\n" {
		t.Errorf("begins with %q", out.String())
	}
	p.start = now
	for after, want := range map[time.Duration]string{30 * time.Second: "30s, about 1m0s left", 2 * time.Minute: "2m0s"} {
		if got := p.figures(now.Add(after)); got != want {
			t.Errorf("after %s it shows %q, want %q", after, got, want)
		}
	}
	p.End()
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 382_000_000: "382 MB", 2_500_000_000: "2.5 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
