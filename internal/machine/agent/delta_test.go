package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/machine/install"
	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/release"
)

const folderOf120 = "conifer-os/amd64/1.2.0/"

// newDeltaMachine is a machine whose service offers a delta from 1.1.0 to 1.2.0. Before it is signed, the list of deltas may be
// changed.
func newDeltaMachine(t *testing.T, change func(d *release.Deltas)) *machine {
	t.Helper()
	m := newMachine(t)
	m.config.LockURL = ""
	d := releases.Delta("1.1.0", "1.2.0")
	list := release.Deltas{Format: release.DeltasFormat, App: "conifer-os", Version: "1.2.0", Arch: "amd64", Deltas: []release.Delta{*d.Delta}}
	if change != nil {
		change(&list)
	}
	m.peers.deltas = []release.Deltas{list}
	m.root = m.peers.publish(2, releases.Of("1.2.0"))
	m.peers.files[folderOf120+d.Name] = d.Bytes
	m.peers.offer, m.peers.payload = "1.2.0", d.Name
	return m
}

// update demands that the machine gets to 1.2.0, and gives how often it asked for the payloads.
func (m *machine) update() (delta, full int) {
	m.t.Helper()
	m.power(func(*Agent) { m.untilRebooted() })
	m.power(func(*Agent) {
		m.until("committed", func(st Status) bool { return quiet(st) && st.NewestCommitted == "1.2.0" })
	})
	if heard := m.peers.heard(); slices.ContainsFunc(heard, func(e string) bool { return strings.Contains(e, ": 3/0") }) {
		m.t.Errorf("the service heard %q", heard)
	}
	return m.peers.gets["from-1.1.0.payload"], m.peers.gets["full.payload"]
}

func TestAMachineUpdatesByADelta(t *testing.T) {
	m := newDeltaMachine(t, nil)
	m.power(func(a *Agent) {
		m.untilRebooted()
		size := int64(len(releases.Delta("1.1.0", "1.2.0").Bytes))
		if got := a.meter.everything.Load(); got != size {
			t.Errorf("downloaded %d bytes of a delta of %d", got, size)
		}
		if got, want := a.count.savedBytes.Load(), int64(len(releases.Of("1.2.0").Payload))-size; got != want {
			t.Errorf("saved %d bytes, want %d", got, want)
		}
	})
	m.power(func(*Agent) {
		m.until("committed", func(st Status) bool { return quiet(st) && st.NewestCommitted == "1.2.0" })
	})
	if m.peers.gets["full.payload"] != 0 || m.peers.gets["deltas.json"] != 1 {
		t.Errorf("asked for %v", m.peers.gets)
	}
	heard := m.peers.heard()
	if heard[0] != "1.1.0: 13/1 next 1.2.0 delta" || heard[1] != "1.1.0: 14/1 next 1.2.0 delta" || heard[len(heard)-1] != "1.2.0: 3/2 previous 1.1.0" || slices.ContainsFunc(heard, func(e string) bool { return strings.Contains(e, "code") }) {
		t.Errorf("the service heard %q", heard)
	}
}

func TestWithoutASignedDeltaTheFullPayloadIsTaken(t *testing.T) {
	cases := []struct {
		name   string
		sign   func(d *release.Deltas)
		change func(p *peers)
	}{
		{"there is no list", nil, func(p *peers) { delete(p.files, folderOf120+"deltas.json") }},
		{"the list is not the signed one", nil, func(p *peers) {
			b := bytes.Clone(p.files[folderOf120+"deltas.json"])
			b[len(b)-3] ^= 1
			p.files[folderOf120+"deltas.json"] = b
		}},
		{"the list is not signed", func(d *release.Deltas) { d.Arch = "arm64" }, func(p *peers) {
			p.files[folderOf120+"deltas.json"] = p.files["conifer-os/arm64/1.2.0/deltas.json"]
		}},
		{"there is none from what runs", func(d *release.Deltas) { d.Deltas[0].From = "1.0.0" }, nil},
		{"it needs what is not known", func(d *release.Deltas) { d.Deltas[0].Features = []string{"delta-1", "delta-9"} }, nil},
		{"the full one is offered", nil, func(p *peers) { p.payload = "full.payload" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newDeltaMachine(t, c.sign)
			if c.change != nil {
				c.change(m.peers)
			}
			if delta, full := m.update(); delta != 0 || full != 1 {
				t.Errorf("%d times the delta, %d times the full payload", delta, full)
			}
		})
	}
}

// A list of deltas that is signed for one release and lies at the place of another is refused.
func TestAListOfDeltasIsForOneRelease(t *testing.T) {
	m := newDeltaMachine(t, nil)
	repo := &tufRepository{client: newClient(), cache: m.tuf, root: m.root, app: "conifer-os", arch: "amd64"}
	view, err := repo.refresh(t.Context(), m.peers.server.URL+"/v1/files/")
	if err != nil {
		t.Fatal(err)
	}
	rel := *releases.Of("1.2.0").Release
	if d, err := repo.delta(t.Context(), view, &rel, m.peers.codebase("1.2.0"), "1.1.0"); err != nil || d.Name != "from-1.1.0.payload" {
		t.Errorf("%+v, %v", d, err)
	}
	rel.Version = "1.3.0"
	if d, err := repo.delta(t.Context(), view, &rel, m.peers.codebase("1.2.0"), "1.1.0"); !fault.Is(err, fault.NotFound) || d != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestWhereADeltaFailsTheFullPayloadIsTaken(t *testing.T) {
	const name = folderOf120 + "from-1.1.0.payload"
	cases := []struct {
		name   string
		change func(p *peers)
		report string
	}{
		{"it is damaged", func(p *peers) {
			b := bytes.Clone(p.files[name])
			b[len(b)-9] ^= 1
			p.files[name] = b
		}, "1.1.0: 13/4 code 10 next 1.2.0"},
		{"it is cut short", func(p *peers) { p.files[name] = p.files[name][:900] }, "1.1.0: 13/4 code 10 next 1.2.0"},
		{"it is gone", func(p *peers) { delete(p.files, name) }, "1.1.0: 13/4 code 2 next 1.2.0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newDeltaMachine(t, nil)
			c.change(m.peers)
			if delta, full := m.update(); delta != 1 || full != 1 {
				t.Errorf("%d times the delta, %d times the full payload", delta, full)
			}
			if heard := m.peers.heard(); heard[0] != "1.1.0: 13/1 next 1.2.0 delta" || heard[1] != c.report || heard[2] != "1.1.0: 14/1 next 1.2.0" {
				t.Errorf("the service heard %q", heard)
			}
			checkAsked(t, m.peers.asked)
		})
	}
}

// checkAsked demands that deltas were welcome until one failed, and again when the release ran.
func checkAsked(t *testing.T, asked []omaha.AppRequest) {
	t.Helper()
	var said []string
	for _, app := range asked {
		if app.UpdateCheck != nil {
			said = append(said, app.Version+" "+app.Payloads)
		}
	}
	if want := []string{"1.1.0 delta-1", "1.1.0 ", "1.2.0 delta-1"}; !slices.Equal(slices.Compact(said), want) {
		t.Errorf("the machine asked with %q, want %q", said, want)
	}
}

func TestWhereOnePlaceFailsTheNextIsTaken(t *testing.T) {
	none := func(string, []byte) []byte { return nil }
	only := func(name string, change func(b []byte) []byte) func(string, []byte) []byte {
		return func(got string, b []byte) []byte {
			if got == name {
				return change(b)
			}
			return b
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, c := range []struct {
		name   string
		mirror func(name string, b []byte) []byte
		direct int // how often the other place is asked for the delta
	}{
		{"it has nothing", none, 1},
		{"it has no payloads", only("from-1.1.0.payload", func([]byte) []byte { return nil }), 1},
		{"its payload is damaged", only("from-1.1.0.payload", flip), 1},
		{"it breaks off", only("from-1.1.0.payload", func(b []byte) []byte { return b[:len(b)/2] }), 1},
		{"its metadata is damaged", only("timestamp.json", flip), 0},
		{"its release.json is damaged", only("release.json", flip), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newDeltaMachine(t, nil)
			m.peers.mirror = c.mirror
			m.update()
			gets := m.peers.gets
			if gets["mirror timestamp.json"] == 0 || gets["full.payload"]+gets["mirror full.payload"] > 0 {
				t.Errorf("asked for %v", gets)
			}
			if gets["from-1.1.0.payload"] != c.direct {
				t.Errorf("asked for %v", gets)
			}
		})
	}
}

// steady gives bytes without end.
type steady struct{}

func (steady) Open(context.Context, int64) (io.ReadCloser, error) { return steady{}, nil }

func (steady) Read(p []byte) (int, error) { return len(p), nil }

func (steady) Close() error { return nil }

func TestThrottleKeepsTheRate(t *testing.T) {
	for _, bytesPerSecond := range []int64{100, 50_000, 30 << 20} {
		synctest.Test(t, func(t *testing.T) {
			limit := &throttle{bytesPerSecond: bytesPerSecond}
			start := time.Now()
			for range 3 { // a line that breaks wins nothing
				body, err := limit.source(steady{}).Open(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, body, 20*bytesPerSecond); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(start); took < 60*time.Second-2*throttleSlack || took > 61*time.Second {
				t.Errorf("%d bytes at %d in a second took %s", 60*bytesPerSecond, bytesPerSecond, took)
			}
		})
	}
}

func TestASlowDownloadDoesNotStandStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		body := &throttledBody{newStalling(&closing{steady{}, cancel, ctx}, cancel), ctx, &throttle{bytesPerSecond: 10}}
		defer body.Close()
		if n, err := io.CopyN(io.Discard, body, 3000); err != nil || ctx.Err() != nil {
			t.Errorf("%d bytes, %v, %v", n, err, context.Cause(ctx))
		}
	})
}

func TestAThrottledDownloadCanBeCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		body, err := (&throttle{bytesPerSecond: 1}).source(steady{}).Open(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(5500*time.Millisecond, func() { cancel(errors.New("stop")) })
		if n, err := io.CopyN(io.Discard, body, 100); !fault.Is(err, fault.Canceled) || n > 7 {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// cut is a source whose bodies end before their time.
type cut struct{}

func (cut) Open(context.Context, int64) (io.ReadCloser, error) {
	return io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)), nil
}

// A download that is left in its midst is held against no mirror; one that is cut is.
func TestACutIsHeldAgainstItsMirror(t *testing.T) {
	for name, c := range map[string]struct {
		left bool
		want int
	}{"cut": {false, 1}, "left": {true, 0}} {
		m := &mirrors{sources: []install.Source{cut{}, cut{}}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		body, err := m.Open(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		if c.left {
			cancel()
		}
		if _, err := body.Read(make([]byte, 1)); err == nil || m.at != c.want {
			t.Errorf("%s: the next is mirror %d, want %d (%v)", name, m.at, c.want, err)
		}
	}
}
