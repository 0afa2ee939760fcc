//go:build vm

package vm

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	wire "conifer.dev/conifer/internal/wire/release"
	"conifer.dev/conifer/test/fleet"
	"conifer.dev/conifer/test/lab"
)

// TestPlainSysupdate updates a machine as docs/ops/sysupdate.md says: with systemd's own updater, from a web server that has the
// files of a release folder and a signature over SHA256SUMS. Ours is only the judgement after the reboot.
func TestPlainSysupdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	folder := release(t, fleet.WithFixes)
	site := openSite(t, folder)
	w.put(w.sysupdateExtension())
	w.put(site.definitions(t))
	w.put(map[string][]byte{"etc/conifer/agent.d/60-sysupdate.toml": []byte("server = \"\"\n")})
	w.run("systemctl daemon-reload && systemctl restart conifer-agent")

	if out, err := w.sysupdate("check-new"); err == nil || !strings.Contains(out, "ignature verification failed") {
		t.Fatalf("without the key of the signature: %v\n%s", err, out)
	}
	w.put(map[string][]byte{"etc/systemd/import-pubring.gpg": site.key})
	if out, err := w.sysupdate("update"); err != nil {
		t.Fatalf("update: %v\n%s", err, out)
	}
	if out := w.run("ls /efi/EFI/Linux"); out != "conifer_1.0.0.efi\nconifer_1.1.0+3-0.efi\n" {
		t.Fatalf("before the reboot there are the boot entries %s", out)
	}

	w.machine.Run(t.Context(), "systemctl reboot") // The connection may end before the answer.
	w.runs(fleet.WithFixes.Version, bootLimit)
	got, want := w.inspect(), rootHash(t, folder)
	if got.OSVersion != "1.1.0" || got.Slot() != "B" || got.KernelHash != want || got.Running.RootHash != want || got.Newest != "1.1.0" {
		t.Fatalf("after the update to root %s the machine says %+v", want, got)
	}
	if got.Entries != "conifer_1.0.0.efi conifer_1.1.0.efi" {
		t.Fatalf("after the trial there are the boot entries %s", got.Entries)
	}
	if out, err := w.sysupdate("list"); err != nil || !strings.Contains(out, "● 1.1.0") || strings.Contains(out, "candidate") {
		t.Fatalf("systemd-sysupdate does not know what it runs on: %v\n%s", err, out)
	}
}

func rootHash(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, wire.FileName))
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.Root.Hash
}

// sysupdate runs one verb of systemd-sysupdate on the machine and returns what it said, whether it did well or not.
func (w *world) sysupdate(verb string) (string, error) {
	w.t.Helper()
	unit := "sysupdate@" + verb
	_, err := w.machine.Run(w.t.Context(), "systemctl start "+unit)
	return w.run("journalctl -b --quiet --output=cat --unit=" + unit), err
}

// site is a web server for plain files.
type site struct {
	url string // as a guest reaches it
	key []byte // public half of the key that signed SHA256SUMS
}

// openSite serves a folder as it is, and beside its SHA256SUMS a signature that an operator would have made with gpg.
func openSite(t *testing.T, folder string) site {
	t.Helper()
	key, signature, err := signSums(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.Handle("GET /conifer/", http.StripPrefix("/conifer/", http.FileServer(http.Dir(folder))))
	routes.HandleFunc("GET /conifer/SHA256SUMS.gpg", func(answer http.ResponseWriter, _ *http.Request) { answer.Write(signature) })
	server := httptest.NewServer(routes)
	t.Cleanup(server.Close)
	port := server.Listener.Addr().(*net.TCPAddr).Port
	return site{url: fmt.Sprintf("http://%s:%d/conifer/", lab.Host, port), key: key}
}

// signSums makes a key and signs a file with it; gpg itself would leave an agent running.
func signSums(file string) (key, signature []byte, err error) {
	signer, err := openpgp.NewEntity("Updates", "", "updates@example.com", nil)
	if err != nil {
		return nil, nil, err
	}
	sums, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	defer sums.Close()
	var public, signed bytes.Buffer
	if err := signer.Serialize(&public); err != nil {
		return nil, nil, err
	}
	err = openpgp.DetachSign(&signed, signer, sums, nil)
	return public.Bytes(), signed.Bytes(), err
}

// definitions are the files of docs/ops/sysupdate.d with the address of the site.
func (s site) definitions(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../docs/ops/sysupdate.d/*.transfer")
	if err != nil || len(paths) != 3 {
		t.Fatalf("find the definitions: %q, %v", paths, err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const address = "https://updates.example.com/conifer/"
		if !bytes.Contains(text, []byte(address)) {
			t.Fatalf("%s does not name %s", path, address)
		}
		files["etc/sysupdate.d/"+filepath.Base(path)] = bytes.ReplaceAll(text, []byte(address), []byte(s.url))
	}
	return files
}
