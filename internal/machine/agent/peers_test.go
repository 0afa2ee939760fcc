package agent

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/machine/bootsim"
	"conifer.dev/conifer/internal/wire/fleetlock"
	"conifer.dev/conifer/internal/wire/omaha"
	"conifer.dev/conifer/internal/wire/release"
)

// peers is what a machine talks to, behind one HTTP server: the service, a signed repository and a lock server.
type peers struct {
	t      *testing.T
	server *httptest.Server
	files  map[string][]byte // of the repository, by path below /v1/files/

	mu     sync.Mutex
	offer  string // version, "" for none
	events []event
	asked  []omaha.AppRequest
	holder string
	denied bool
	gets   map[string]int
	cutAt  int64             // payload answers end after so many bytes, 0 for never
	backTo map[string]string // versions to the version from which a machine may go back to them

	payload string                             // is offered to machines that apply deltas, "" for the full one
	mirror  func(name string, b []byte) []byte // what another place gives for a file, nil for nothing; it comes first
	deltas  []release.Deltas                   // to be published with the releases
}

func newPeers(t *testing.T) *peers {
	p := &peers{t: t, files: map[string][]byte{}, gets: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/update/", p.omaha)
	mux.HandleFunc("POST "+fleetlock.PreReboot, p.lock)
	mux.HandleFunc("POST "+fleetlock.SteadyState, p.lock)
	mux.HandleFunc("GET /v1/files/", p.file)
	mux.HandleFunc("GET /v1/mirror/", p.fileOfMirror)
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *peers) codebase(version string) string {
	return p.server.URL + "/v1/files/" + path.Dir(release.TargetPath("conifer-os", "amd64", version)) + "/"
}

func (p *peers) omaha(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	req, err := omaha.ParseRequest(body)
	if err != nil {
		p.t.Errorf("request: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	app := req.Apps[0]
	p.asked = append(p.asked, app)
	answer := omaha.AppResponse{ID: app.ID, Status: omaha.StatusOK}
	for _, e := range app.Events {
		text := fmt.Sprintf("%s: %d/%d", app.Version, e.Type, e.Result)
		if e.ErrorCode != 0 {
			text += fmt.Sprintf(" code %d", e.ErrorCode)
		}
		if e.NextVersion != "" {
			text += " next " + e.NextVersion
		}
		if e.PreviousVersion != "" {
			text += " previous " + e.PreviousVersion
		}
		if e.Payload != "" {
			text += " " + e.Payload
		}
		p.events = append(p.events, event{app.BootID, text})
		answer.Events = append(answer.Events, omaha.Ack{Status: "ok"})
	}
	if app.UpdateCheck != nil {
		answer.UpdateCheck = p.answer(app)
	}
	resp := omaha.NewResponse("test", 0)
	resp.Apps = append(resp.Apps, answer)
	text, err := resp.Encode()
	if err != nil {
		p.t.Errorf("response: %v", err)
	}
	w.Write(text)
}

func (p *peers) answer(app omaha.AppRequest) *omaha.UpdateCheck {
	if p.offer == "" || p.offer == app.Version {
		return omaha.NoUpdate(0)
	}
	name, codebases := "full.payload", []string{p.codebase(p.offer)}
	if app.Payloads == "delta-1" && p.payload != "" {
		name = p.payload
	}
	if p.mirror != nil {
		codebases = slices.Insert(codebases, 0, strings.Replace(codebases[0], "/files/", "/mirror/", 1))
	}
	check, err := omaha.Offer{
		Version: p.offer, Codebases: codebases, Payload: omaha.File{Name: name, SizeBytes: 1, SHA256: strings.Repeat("ab", 32)},
	}.UpdateCheck()
	if err != nil {
		p.t.Errorf("offer: %v", err)
	}
	return check
}

func (p *peers) lock(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	params, err := fleetlock.ParseRequest(body)
	if err != nil || fleetlock.CheckHeader(r.Header.Values(fleetlock.HeaderName)) != nil {
		p.t.Errorf("lock request: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.URL.Path == fleetlock.SteadyState:
		p.holder = ""
	case p.denied:
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"kind":"failed_lock_semaphore_full","value":"the semaphore is full"}`)
	default:
		p.holder = params.ID
	}
}

// file serves with ranges and a strong ETag, and cuts payloads short when it is told to.
func (p *peers) file(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/files/")
	p.mu.Lock()
	content, ok := p.files[name]
	cutAt := p.cutAt
	p.gets[path.Base(name)]++
	p.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
	if cutAt > 0 && strings.HasSuffix(name, ".payload") {
		w = &shortWriter{w, cutAt}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// fileOfMirror serves what the mirror makes of a file, and breaks off where that is shorter than the file.
func (p *peers) fileOfMirror(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/v1/mirror/")
	p.mu.Lock()
	content, ok := p.files[name]
	own := p.mirror(path.Base(name), bytes.Clone(content))
	p.gets["mirror "+path.Base(name)]++
	p.mu.Unlock()
	switch {
	case !ok || own == nil:
		http.NotFound(w, r)
	case len(own) < len(content):
		http.ServeContent(&shortWriter{w, int64(len(own))}, r, "", time.Time{}, bytes.NewReader(content))
	default:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(own))
	}
}

// shortWriter breaks the connection after a number of bytes.
type shortWriter struct {
	http.ResponseWriter
	left int64
}

func (s *shortWriter) Write(b []byte) (int, error) {
	if int64(len(b)) > s.left {
		s.ResponseWriter.Write(b[:s.left])
		panic(http.ErrAbortHandler)
	}
	s.left -= int64(len(b))
	return s.ResponseWriter.Write(b)
}

func (p *peers) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// event is a report as it was heard, and of which boot.
type event struct{ boot, text string }

// heard lists what the service was told. A report is made at least once: one whose answer an ending agent no longer heard
// is made again by the next. It counts once here, also where the machine has booted meanwhile and the first copy arrives late.
func (p *peers) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []event
	for _, e := range p.events {
		if !slices.ContainsFunc(all, func(o event) bool { return o.text == e.text && o.boot != e.boot }) {
			all = append(all, e)
		}
	}
	var texts []string
	for _, e := range all {
		texts = append(texts, e.text)
	}
	return slices.Compact(texts)
}

func (p *peers) lockHolder() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.holder
}

// testKey is one key for all roles: who may sign what is tested in package trust.
func testKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("a key for tests"))
	return ed25519.NewKeyFromSeed(seed[:])
}

func signed[T metadata.Roles](t *testing.T, m *metadata.Metadata[T]) []byte {
	t.Helper()
	signer, err := signature.LoadSigner(testKey(), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Sign(signer); err != nil {
		t.Fatal(err)
	}
	b, err := m.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// publish signs a repository with these releases in it, all versions being n, and gives its root.
func (p *peers) publish(n int64, releases ...*bootsim.Release) []byte {
	t, expires := p.t, time.Now().Add(24*time.Hour)
	root, targets := metadata.Root(expires), metadata.Targets(expires)
	snapshot, timestamp := metadata.Snapshot(expires), metadata.Timestamp(expires)
	key, err := metadata.KeyFromPublicKey(testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		if err := root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range releases {
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		name := release.TargetPath(r.App, r.Arch, r.Version)
		file, err := metadata.TargetFile().FromBytes(name, text, "sha256")
		if err != nil {
			t.Fatal(err)
		}
		if from := p.backTo[r.Version]; from != "" {
			custom := json.RawMessage(fmt.Sprintf(`{"downgrade_from": [%q]}`, from))
			file.Custom = &custom
		}
		targets.Signed.Targets[name] = file
		p.files[name] = text
		p.files[path.Dir(name)+"/full.payload"] = r.Payload
	}
	for _, d := range p.deltas {
		text, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		name := path.Dir(release.TargetPath(d.App, d.Arch, d.Version)) + "/deltas.json"
		if targets.Signed.Targets[name], err = metadata.TargetFile().FromBytes(name, text, "sha256"); err != nil {
			t.Fatal(err)
		}
		p.files[name] = text
	}
	targets.Signed.Version, snapshot.Signed.Version, timestamp.Signed.Version = n, n, n
	put := func(name string, b []byte) *metadata.MetaFiles {
		p.files["metadata/"+name] = b
		sum := sha256.Sum256(b)
		return &metadata.MetaFiles{Version: n, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
	}
	snapshot.Signed.Meta["targets.json"] = put(fmt.Sprintf("%d.targets.json", n), signed(t, targets))
	timestamp.Signed.Meta["snapshot.json"] = put(fmt.Sprintf("%d.snapshot.json", n), signed(t, snapshot))
	put("timestamp.json", signed(t, timestamp))
	return signed(t, root)
}
