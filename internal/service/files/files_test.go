package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
)

const limit = 4 << 20

// server serves a folder, answering an error with its status and its message.
func server(t *testing.T, folder string) (*Folder, *httptest.Server) {
	t.Helper()
	f, err := Open(folder, limit)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve := f.Get
		if r.Method == http.MethodPut {
			serve = f.Put
		}
		if err := serve(w, r); err != nil {
			http.Error(w, err.Error(), fault.KindOf(err).HTTPStatus())
		}
	}))
	t.Cleanup(func() {
		s.Close()
		f.Close()
	})
	return f, s
}

// ask makes a request whose path is sent as it stands, and returns the answer with its body.
func ask(t *testing.T, s *httptest.Server, method, path string, body []byte, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = strings.TrimPrefix(s.URL, "http:") + path
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func expect(t *testing.T, answer *http.Response, text string, status int) {
	t.Helper()
	if answer.StatusCode != status {
		t.Fatalf("got %s %q, want %d", answer.Status, text, status)
	}
}

const payload = "/conifer-os/amd64/1.1.0/full.payload"

func TestUploadAndDownload(t *testing.T) {
	f, s := server(t, t.TempDir())
	content := bytes.Repeat([]byte("conifer\n"), limit/8)
	answer, text := ask(t, s, "PUT", payload, content)
	expect(t, answer, text, 201)
	answer, text = ask(t, s, "PUT", payload, content)
	expect(t, answer, text, 200)

	answer, text = ask(t, s, "GET", payload, nil)
	expect(t, answer, text, 200)
	if text != string(content) || answer.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("got %d bytes, %v", len(text), answer.Header)
	}
	tag := answer.Header.Get("ETag")
	if want := fmt.Sprintf(`"sha256:%x"`, sha256.Sum256(content)); tag != want {
		t.Errorf("ETag is %s, want %s", tag, want)
	}
	answer, text = ask(t, s, "GET", payload, nil, "Range", "bytes=8-15", "If-Range", tag)
	expect(t, answer, text, 206)
	if text != "conifer\n" || answer.Header.Get("Content-Range") != "bytes 8-15/4194304" {
		t.Errorf("got %q, %v", text, answer.Header)
	}
	answer, text = ask(t, s, "GET", payload, nil, "If-None-Match", tag)
	expect(t, answer, text, 304)
	answer, text = ask(t, s, "HEAD", payload, nil)
	expect(t, answer, text, 200)
	if answer.ContentLength != limit {
		t.Errorf("HEAD says %d bytes", answer.ContentLength)
	}
	uses := f.Usage()
	if len(uses) != 1 || uses[0] != (admin.Use{Path: payload[1:], Address: "127.0.0.1", Requests: 4, Bytes: limit + 8}) {
		t.Errorf("got %+v", uses)
	}
}

// After a restart the digest is computed again, and a file that was put there by hand has one too.
func TestDigestsOfFilesThatWereThere(t *testing.T) {
	folder := t.TempDir()
	_, s := server(t, folder)
	for _, content := range []string{"one", "another"} {
		if err := os.WriteFile(filepath.Join(folder, "file"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			answer, text := ask(t, s, "GET", "/file", nil)
			want := fmt.Sprintf(`"sha256:%x"`, sha256.Sum256([]byte(content)))
			if text != content || answer.Header.Get("ETag") != want {
				t.Errorf("got %q with ETag %s", text, answer.Header.Get("ETag"))
			}
		}
	}
}

func TestOnlyMetadataWithoutAVersionAndListsOfDeltasChange(t *testing.T) {
	_, s := server(t, t.TempDir())
	for path, want := range map[string]int{
		"/metadata/timestamp.json": 201, "/metadata/2.root.json": 409, payload: 409,
		"/conifer-os/amd64/1.1.0/release.json": 409, "/conifer-os/amd64/1.1.0/deltas.json": 201,
	} {
		answer, text := ask(t, s, "PUT", path, []byte("one"))
		expect(t, answer, text, 201)
		first, _ := ask(t, s, "GET", path, nil)
		answer, text = ask(t, s, "PUT", path, []byte("two"))
		expect(t, answer, text, want)
		again, _ := ask(t, s, "GET", path, nil)
		replaced := want == 201
		if (first.Header.Get("ETag") != again.Header.Get("ETag")) != replaced {
			t.Errorf("%s: ETag %s, then %s", path, first.Header.Get("ETag"), again.Header.Get("ETag"))
		}
		if (again.Header.Get("Cache-Control") == "no-cache") != replaced {
			t.Errorf("%s: Cache-Control is %q", path, again.Header.Get("Cache-Control"))
		}
	}
}

func TestPathsStayInside(t *testing.T) {
	parent := t.TempDir()
	folder := filepath.Join(parent, "files")
	_, s := server(t, folder)
	if err := os.WriteFile(filepath.Join(parent, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(parent, "secret"), filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/../secret", "/a/../../secret", "/..%2fsecret", "/%2e%2e/secret", "//secret", "/.hidden", "/a/.incoming/b", "/", "/a//b", "/a\\b", "/a/", "/x%00y", "/link",
	} {
		for _, method := range []string{"GET", "PUT"} {
			if method == "PUT" && path == "/link" {
				continue // it is replaced, see below
			}
			answer, text := ask(t, s, method, path, []byte("new"))
			if answer.StatusCode < 400 || strings.Contains(text, "secret\n") && !strings.Contains(text, "path") {
				t.Errorf("%s %s: got %s %q", method, path, answer.Status, text)
			}
		}
	}
	ask(t, s, "PUT", "/link", []byte("new"))
	if text, err := os.ReadFile(filepath.Join(parent, "secret")); err != nil || string(text) != "secret" {
		t.Errorf("the file outside is %q, %v", text, err)
	}
}

func TestRefusedUploadsLeaveNothing(t *testing.T) {
	folder := t.TempDir()
	_, s := server(t, folder)
	sum := sha256.Sum256([]byte("right"))
	digest := hex.EncodeToString(sum[:])
	answer, text := ask(t, s, "PUT", "/a", []byte("wrong"), DigestHeader, digest)
	expect(t, answer, text, 422)
	answer, text = ask(t, s, "PUT", "/a", make([]byte, limit+1))
	expect(t, answer, text, 507)
	answer, text = ask(t, s, "PUT", "/b", []byte("right"), DigestHeader, strings.ToUpper(digest))
	expect(t, answer, text, 201)
	answer, text = ask(t, s, "PUT", "/b/c", []byte("below a file"))
	expect(t, answer, text, 409)
	answer, text = ask(t, s, "GET", "/a", nil)
	expect(t, answer, text, 404)
	left, err := os.ReadDir(filepath.Join(folder, incoming))
	if err != nil || len(left) != 0 {
		t.Errorf("%d unfinished uploads are left, %v", len(left), err)
	}
}

func TestUnfinishedUploadsAreClearedAtStart(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, incoming), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, incoming, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	server(t, folder)
	if _, err := os.Stat(filepath.Join(folder, incoming, "x")); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}

func TestUsageIsBounded(t *testing.T) {
	u := newUsage()
	for i := range maxUses + 5 {
		r := httptest.NewRequest("GET", "/", nil)
		u.add(strings.Repeat("x", 1)+string(rune('a'+i%26))+hex.EncodeToString([]byte{byte(i >> 16), byte(i >> 8), byte(i)}), r, 2)
	}
	if others := u.uses[[2]string{"", "others"}]; len(u.uses) != maxUses+1 || others == nil || others.Bytes != 10 {
		t.Errorf("%d rows, others %+v", len(u.uses), others)
	}
}

func FuzzClean(f *testing.F) {
	for _, path := range []string{"/a/b", "../a", "a/../b", "a//b", ".a", "a/.", "", "a\x00", `a\b`, "a/..b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, err := clean(path)
		if err != nil {
			return
		}
		if !filepath.IsLocal(name) || strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.Contains(name, "//") {
			t.Errorf("%q became %q", path, name)
		}
	})
}
