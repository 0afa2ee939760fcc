package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// A token is cnf_ID_SECRET. The prefix lets scanners for leaked secrets find it, the id is public, and the secret has 130
// random bits, so that its digest needs no salt.
const (
	prefix   = "cnf_"
	idLength = 12
	maxName  = 100
)

// Mint makes a token that ends at expires, or never when that is zero. The text is to be shown once; the record holds
// its digest.
func Mint(name string, role Role, now, expires time.Time) (record store.Token, text string, err error) {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, unprintable) {
		return store.Token{}, "", fault.New(fault.Invalid, "%q is no name of a token", name).
			WithHint("Say in up to %d characters who uses it: the activity log shows the name.", maxName)
	}
	id, secret := strings.ToLower(rand.Text()[:idLength]), rand.Text()
	record = store.Token{ID: id, Name: name, Role: role.String(), SHA256: digest(secret), Created: now, Expires: expires}
	return record, prefix + id + "_" + secret, nil
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// same compares digests in a time that tells nothing about how much of them is equal.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// Tokens know everybody by a token.
type Tokens struct {
	Admin string                              // the one in the service's folder, whole
	Find  func(id string) (store.Token, bool) // any other, by its id
	Now   func() time.Time
}

// Identify tells who made a request with the header `Authorization: Bearer TOKEN`. An error is of kind Unauthorized, and does
// not say whether there is a token with the id that was given.
func (t Tokens) Identify(r *http.Request) (Identity, error) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if text == "" || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, fault.New(fault.Unauthorized, "%s %s needs a token", r.Method, r.URL.Path).
			WithHint("Name its file: --token-file DATA/admin.token, or that of a token from `conifer token add`.")
	}
	if same(digest(text), digest(t.Admin)) && t.Admin != "" {
		return Identity{Name: "admin", Role: Admin}, nil
	}
	return t.stored(text)
}

// stored compares with the record of the token's id. Where there is none it compares with a digest of nothing, to take as long.
func (t Tokens) stored(text string) (Identity, error) {
	id, secret, formed := strings.Cut(strings.TrimPrefix(text, prefix), "_")
	record, known := store.Token{SHA256: digest("")}, false
	if formed && strings.HasPrefix(text, prefix) {
		if found, ok := t.Find(id); ok {
			record, known = found, true
		}
	}
	if !same(digest(secret), record.SHA256) || !known {
		return Identity{}, fault.New(fault.Unauthorized, "the token is not one of this service's").
			WithHint("An admin lists those that there are with `conifer token list`, and makes one with `conifer token add`.")
	}
	if !record.Expires.IsZero() && !t.Now().Before(record.Expires) {
		return Identity{}, fault.New(fault.Unauthorized, "token %s (%s) has expired at %s", record.ID, record.Name, record.Expires.UTC().Format(time.RFC3339)).
			WithHint("Ask an admin for a new one: `conifer token add`.")
	}
	role, err := ParseRole(record.Role)
	if err != nil {
		return Identity{}, fault.Wrap(fault.Unauthorized, err)
	}
	return Identity{Name: record.Name, Role: role}, nil
}
