package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
)

func TestNewKeysMakesAFolderThatOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	made, err := NewKeys(dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids := func(keys []Key) (all []string) {
		for _, k := range keys {
			all = append(all, k.Role+" "+k.ID)
		}
		slices.Sort(all)
		return all
	}
	if len(made) != 6 || !slices.Equal(ids(made), ids(opened)) {
		t.Errorf("made %v, opened %v", ids(made), ids(opened))
	}
	for _, k := range opened {
		info, err := os.Stat(k.Path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", k.Path, info.Mode(), err)
		}
	}
	if _, err := NewKeys(dir, 1); !fault.Is(err, fault.Conflict) {
		t.Errorf("a folder with keys: got %v", err)
	}
}

func TestNewKeysRefuses(t *testing.T) {
	for _, n := range []int{0, 17} {
		if _, err := NewKeys(t.TempDir(), n); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d root keys: got %v", n, err)
		}
	}
	if _, err := NewKey(t.TempDir(), "mirror"); !fault.Is(err, fault.Invalid) {
		t.Errorf("unknown role: got %v", err)
	}
}

func TestOpenKeysRefuses(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	block := func(b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}) }
	for _, c := range []struct {
		name    string
		text    []byte
		mode    os.FileMode
		kind    fault.Kind
		message string
	}{
		{"another algorithm", block(der), 0o600, fault.Unsupported, "want Ed25519"},
		{"no key inside", block([]byte("x")), 0o600, fault.Invalid, "read key"},
		{"no PEM", []byte("secret"), 0o600, fault.Invalid, "no PEM block"},
		{"readable by the group", block(der), 0o640, fault.Invalid, "mode is 0640"},
	} {
		path := filepath.Join(t.TempDir(), "root-1.pem")
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeys(filepath.Dir(path)); !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if _, err := OpenKeys(filepath.Join(t.TempDir(), "none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("no folder: got %v", err)
	}
}

func TestSignWithChosenKeys(t *testing.T) {
	keys, err := NewKeys(t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	root := metadata.Root(time.Now().Add(time.Hour))
	root.Signed.Roles["root"].Threshold = 2
	for _, k := range keys {
		public, err := k.Public()
		if err != nil {
			t.Fatal(err)
		}
		if err := root.Signed.AddKey(public, k.Role); err != nil {
			t.Fatal(err)
		}
	}
	chosen, err := Choose(keys, root.Signed, "root")
	if err != nil || len(chosen) != 2 {
		t.Fatalf("chosen %v, %v", chosen, err)
	}
	if _, err := Sign(root, Union(chosen, chosen)); err != nil {
		t.Fatal(err)
	}
	if err := root.VerifyDelegate("root", root); err != nil {
		t.Error(err)
	}
	if _, err := Choose(keys[1:], root.Signed, "root"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "1 of the 2 root keys") {
		t.Errorf("one key of two: got %v", err)
	}
}
