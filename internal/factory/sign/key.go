// Package sign keeps the keys of a repository and signs its metadata with them.
//
// Start with [NewKeys], which makes a folder of Ed25519 keys, [OpenKeys], and [Sign]. A key is one file,
// `ROLE-ID.pem` (PKCS#8, mode 0600), so that the offline keys (root, targets) and the online ones (snapshot, timestamp)
// can live in different places. No key is ever overwritten. The package decides nothing about what is signed.
package sign

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"conifer.dev/conifer/internal/fault"
)

// Roles are the roles of a repository; the first two belong offline.
var Roles = []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}

// MaxRootKeys bounds how many people may hold a root key.
const MaxRootKeys = 16

// Key is one private key of one role.
type Key struct {
	Role    string
	ID      string // TUF's: the SHA-256 of the public key's canonical JSON
	Path    string
	private ed25519.PrivateKey
}

// Public is the key as metadata names it.
func (k Key) Public() (*metadata.Key, error) { return metadata.KeyFromPublicKey(k.private.Public()) }

// NewKeys makes the keys of a new repository in dir: rootKeys of the role root, one of each other. It refuses a
// folder that has keys.
func NewKeys(dir string, rootKeys int) ([]Key, error) {
	if rootKeys < 1 || rootKeys > MaxRootKeys {
		return nil, fault.New(fault.Invalid, "%d root keys were asked for, want 1 to %d", rootKeys, MaxRootKeys)
	}
	old, err := OpenKeys(dir)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	if len(old) > 0 {
		return nil, fault.New(fault.Conflict, "%s holds keys already", dir).
			WithHint("Choose another folder, or replace single keys with `conifer key rotate`.")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var keys []Key
	for _, role := range Roles {
		n := 1
		if role == metadata.ROOT {
			n = rootKeys
		}
		for range n {
			k, err := NewKey(dir, role)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// NewKey makes one key of a role.
func NewKey(dir, role string) (Key, error) {
	if !slices.Contains(Roles, role) {
		return Key{}, fault.New(fault.Invalid, "%q is not a role", role).WithHint("Roles are %s.", strings.Join(Roles, ", "))
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return Key{}, fmt.Errorf("make %s key: %w", role, err)
	}
	k, err := newKey(role, private)
	if err != nil {
		return Key{}, err
	}
	k.Path = filepath.Join(dir, fmt.Sprintf("%s-%.8s.pem", role, k.ID))
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Key{}, err
	}
	return k, writeNew(k.Path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newKey(role string, private ed25519.PrivateKey) (Key, error) {
	k := Key{Role: role, private: private}
	public, err := k.Public()
	if err != nil {
		return Key{}, err
	}
	k.ID, err = public.ID()
	return k, err
}

// writeNew writes a file that must not exist, readable by its owner alone from its first byte on.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Sync()
}

// OpenKeys reads every key in dir, in the order of their roles. Any part of them may be elsewhere: who needs a key
// that is not there says so.
func OpenKeys(dir string) ([]Key, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "there is no key folder %s", dir).WithHint("Make one with `conifer key new --out %s`.", dir)
	}
	var keys []Key
	for _, role := range Roles {
		paths, err := filepath.Glob(filepath.Join(dir, role+"-*.pem"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			k, err := openKey(path, role)
			if err != nil {
				return nil, fmt.Errorf("read key %s: %w", path, err)
			}
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func openKey(path, role string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Key{}, fault.New(fault.Invalid, "mode is %04o, so that others can read it", mode).WithHint("chmod 600 %s", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return Key{}, fault.New(fault.Invalid, "it holds no PEM block PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, fault.Wrap(fault.Invalid, err)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fault.New(fault.Unsupported, "it is a %T, want Ed25519", parsed)
	}
	k, err := newKey(role, private)
	k.Path = path
	return k, err
}

// Sign replaces the signatures of m by one of each key.
func Sign[T metadata.Roles](m *metadata.Metadata[T], keys []Key) ([]byte, error) {
	m.ClearSignatures()
	for _, k := range keys {
		signer, err := signature.LoadED25519Signer(k.private)
		if err != nil {
			return nil, err
		}
		if _, err := m.Sign(signer); err != nil {
			return nil, fmt.Errorf("sign with %s key %.8s: %w", k.Role, k.ID, err)
		}
	}
	return m.ToBytes(true)
}
