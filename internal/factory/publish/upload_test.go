package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/internal/wire/trust"
)

// service is what an upload needs of the service, in memory. After every PUT it looks at itself as machines do.
type service struct {
	*testing.T
	files   map[string][]byte
	puts    []string
	etags   bool
	stopAt  string        // a PUT of this name fails
	clients []trust.Cache // machines that have seen earlier states
	lists   int           // lists of deltas that machines have found right
	initial []byte
}

func newService(t *testing.T) (*service, *Client) {
	s := &service{T: t, files: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/files/{name...}", s.get)
	mux.HandleFunc("PUT /v1/files/{name...}", s.put)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s, NewClient(server.URL+"/", "secret")
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	b, ok := s.files[r.PathValue("name")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if sum := sha256.Sum256(b); s.etags {
		w.Header().Set("ETag", `"sha256:`+hex.EncodeToString(sum[:])+`"`)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

func (s *service) put(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if r.Header.Get("Authorization") != "Bearer secret" {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"kind": "unauthorized", "message": "wrong token", "hint": "See admin.token."}`)
		return
	}
	b, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(b)
	if err != nil || hex.EncodeToString(sum[:]) != r.Header.Get("X-Content-SHA256") || int64(len(b)) != r.ContentLength {
		s.Errorf("PUT %s: %v, digest %x", name, err, sum)
	}
	if s.stopAt == path.Base(name) {
		w.WriteHeader(http.StatusInsufficientStorage)
		return
	}
	s.files[name] = b
	s.puts = append(s.puts, path.Base(name))
	s.checkClients(name)
}

// checkClients lets every machine refresh now: none may see an inconsistent repository.
func (s *service) checkClients(after string) {
	if s.files["metadata/timestamp.json"] == nil || s.initial == nil {
		return
	}
	fetch := func(name string, maxBytes int64) ([]byte, error) {
		b, ok := s.files[trust.Folder+name]
		if !ok {
			return nil, fault.New(fault.NotFound, "no %s", name)
		}
		return b, nil
	}
	for i, cache := range s.clients {
		view, after2, err := trust.Refresh(s.initial, cache, fetch, today, today)
		if err != nil {
			s.Errorf("after PUT %s, machine %d: %v", after, i, err)
			continue
		}
		for _, target := range releasePaths(view) {
			if _, _, err := view.Release(target, s.files[target]); err != nil {
				s.Errorf("after PUT %s, machine %d: %v", after, i, err)
			}
		}
		s.checkDeltas(view, after)
		if i > 0 { // the first machine is always new
			s.clients[i] = after2
		}
	}
}

// checkDeltas looks at the lists of deltas, and at what they name. A list that was changed is wrong for machines until the timestamp
// names it; none is ever lacking, and no list that is right names a file that is lacking.
func (s *service) checkDeltas(view *trust.View, after string) {
	for _, target := range pathsOf(view, release.DeltasName) {
		signed, err := view.Target(target)
		if err != nil {
			s.Fatal(err)
		}
		if err := signed.Check(s.files[target]); err != nil {
			if s.files[target] == nil || after == trust.Folder+trust.TimestampName {
				s.Errorf("after PUT %s: %v", after, err)
			}
			continue
		}
		list, err := release.ParseDeltas(s.files[target])
		if err != nil {
			s.Fatal(err)
		}
		for _, d := range list.Deltas {
			if b := s.files[path.Join(path.Dir(target), d.Name)]; digest(b) != d.SHA256 {
				s.Errorf("after PUT %s: %s names %s, which is not there", after, target, d.Name)
			}
		}
		s.lists++
	}
}

func TestUploadIsConsistentAtEveryMoment(t *testing.T) {
	w := newWorkshop(t)
	s, c := newService(t)
	upload := func() {
		t.Helper()
		if err := w.Upload(t.Context(), c, quiet); err != nil {
			t.Fatal(err)
		}
		_, cache, err := w.read(today)
		if err != nil {
			t.Fatal(err)
		}
		s.initial = cache["1.root.json"]
		if s.clients == nil {
			s.clients = []trust.Cache{nil}
		}
		s.clients = append(s.clients, cache)
	}
	upload()
	w.publish("1.1.0")
	upload()
	for _, role := range []string{"timestamp", "targets", "root", "snapshot"} {
		if _, err := w.Rotate(w.keys, role); err != nil {
			t.Fatal(err)
		}
		w.reopen()
		upload()
	}
	w.publish("1.2.0")
	upload()
	publish := func(order Order) {
		t.Helper()
		if _, err := w.Publish(t.Context(), w.release("1.3.0", 1), order, quiet); err != nil {
			t.Fatal(err)
		}
	}
	publish(from("1.1.0"))
	upload()
	publish(from("1.2.0"))
	upload()
	if s.lists == 0 || s.files["conifer-os/amd64/1.3.0/from-1.2.0.payload"] == nil {
		t.Errorf("%d lists of deltas were right", s.lists)
	}
	if len(s.clients) != 10 || s.files["conifer-os/amd64/1.2.0/full.payload"] == nil {
		t.Errorf("%d machines, files %d", len(s.clients), len(s.files))
	}
	for name := range s.files {
		if strings.HasSuffix(name, "disk.raw") {
			t.Errorf("the disk image was uploaded: %s", name)
		}
	}
}

func TestUploadOrderAndWhatIsSkipped(t *testing.T) {
	w := newWorkshop(t)
	w.publish("1.1.0")
	s, c := newService(t)
	s.etags = true
	s.stopAt = "full.payload"
	if err := w.Upload(t.Context(), c, quiet); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("a full service: got %v", err)
	}
	before := []string{
		"conifer_1.1.0.efi", "conifer_1.1.0_b60809d9-1082-cb44-df2d-f7def66dfded.root-amd64.raw",
		"conifer_1.1.0_be53a852-eebf-4528-86ad-5a2aa59c1a23.root-amd64-verity.raw",
	}
	if diff := cmp.Diff(before, s.puts); diff != "" {
		t.Error(diff)
	}
	s.stopAt, s.puts = "", nil
	metadata := []string{"2.targets.json", "2.snapshot.json", "timestamp.json", "1.root.json"}
	for _, want := range [][]string{append([]string{"full.payload", "release.json"}, metadata...), metadata} {
		if err := w.Upload(t.Context(), c, quiet); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.puts); diff != "" {
			t.Error(diff)
		}
		s.puts = nil
	}
	if _, err := w.Publish(t.Context(), w.release("1.2.0", 1), from("1.1.0"), quiet); err != nil {
		t.Fatal(err)
	}
	if err := w.Upload(t.Context(), c, quiet); err != nil {
		t.Fatal(err)
	}
	if at := slices.Index(s.puts, "release.json"); at < 0 || !slices.Equal(s.puts[at:at+4], []string{"release.json", "from-1.1.0.payload", "deltas.json", "3.targets.json"}) {
		t.Errorf("with a delta: %v", s.puts)
	}
}

func TestUploadSaysWhatTheServiceSaid(t *testing.T) {
	w := newWorkshop(t)
	_, c := newService(t)
	c.token = "wrong"
	err := w.Upload(t.Context(), c, quiet)
	if !fault.Is(err, fault.Unauthorized) || !strings.Contains(err.Error(), "wrong token") || fault.HintOf(err) != "See admin.token." {
		t.Errorf("got %v, hint %q", err, fault.HintOf(err))
	}
	nobody := NewClient("http://127.0.0.1:1", "")
	if err := w.Upload(t.Context(), nobody, quiet); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no service: got %v", err)
	}
}
