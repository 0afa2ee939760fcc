package auth_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/store"
)

const adminToken = "an admin token for tests"

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tokens knows the records, at noon.
func tokens(records ...store.Token) auth.Tokens {
	return auth.Tokens{Admin: adminToken, Now: func() time.Time { return noon }, Find: func(id string) (store.Token, bool) {
		for _, r := range records {
			if r.ID == id {
				return r, true
			}
		}
		return store.Token{}, false
	}}
}

func identify(t auth.Tokens, header string) (auth.Identity, error) {
	r := httptest.NewRequest("GET", "/v1/admin/apps", nil)
	r.Header.Set("Authorization", header)
	return t.Identify(r)
}

func mint(t *testing.T, role auth.Role, expires time.Time) (store.Token, string) {
	t.Helper()
	record, text, err := auth.Mint("ada", role, noon, expires)
	must(t, err)
	return record, text
}

func TestIdentify(t *testing.T) {
	viewer, viewerText := mint(t, auth.Viewer, time.Time{})
	operator, operatorText := mint(t, auth.Operator, noon.Add(time.Nanosecond))
	expired, expiredText := mint(t, auth.Admin, noon)
	odd, oddText := mint(t, auth.Viewer, time.Time{})
	odd.Role = "emperor"
	known := tokens(viewer, operator, expired, odd)
	cases := []struct {
		name, header string
		want         auth.Identity
		refusal      string
	}{
		{"the file's", "Bearer " + adminToken, auth.Identity{Name: "admin", Role: auth.Admin}, ""},
		{"a scheme in capitals", "BEARER " + viewerText, auth.Identity{Name: "ada", Role: auth.Viewer}, ""},
		{"not yet expired", "Bearer " + operatorText, auth.Identity{Name: "ada", Role: auth.Operator}, ""},
		{"expired", "Bearer " + expiredText, auth.Identity{}, "has expired at 2026-11-01T12:00:00Z"},
		{"a wrong secret, though expired", "Bearer cnf_" + expired.ID + "_WRONG", auth.Identity{}, "not one of this service's"},
		{"another's secret", "Bearer cnf_" + viewer.ID + operatorText[strings.LastIndex(operatorText, "_"):], auth.Identity{}, "not one of"},
		{"an unknown id", "Bearer cnf_unknown_x", auth.Identity{}, "not one of"},
		{"an unknown id without a secret", "Bearer cnf_unknown_", auth.Identity{}, "not one of"},
		{"no id", "Bearer cnf_", auth.Identity{}, "not one of"},
		{"the digest instead of the secret", "Bearer cnf_" + viewer.ID + "_" + viewer.SHA256, auth.Identity{}, "not one of"},
		{"another prefix", "Bearer " + strings.TrimPrefix(viewerText, "cnf_"), auth.Identity{}, "not one of"},
		{"a role of no known name", "Bearer " + oddText, auth.Identity{}, "no role"},
		{"nothing", "", auth.Identity{}, "needs a token"},
		{"another scheme", "Basic " + viewerText, auth.Identity{}, "needs a token"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := identify(known, c.header)
			if got != c.want || (err == nil) != (c.refusal == "") || err != nil && !strings.Contains(err.Error(), c.refusal) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Without a file there is no admin token, and nobody may become the admin by giving none.
func TestNoAdminTokenIsNoToken(t *testing.T) {
	known := tokens()
	known.Admin = ""
	for _, header := range []string{"Bearer", "Bearer ", "Bearer  "} {
		if got, err := identify(known, header); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%q became %+v, %v", header, got, err)
		}
	}
}

func TestNothingButTheTokenIsTaken(t *testing.T) {
	record, text := mint(t, auth.Viewer, time.Time{})
	known := tokens(record)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		with := rapid.Byte().Draw(t, "with")
		if changed := text[:at] + string([]byte{with}) + text[at+1:]; changed != text {
			if got, err := identify(known, "Bearer "+changed); !fault.Is(err, fault.Unauthorized) {
				t.Fatalf("%q became %+v, %v", changed, got, err)
			}
		}
	})
}

func TestMint(t *testing.T) {
	one, text := mint(t, auth.Operator, noon.Add(time.Hour))
	two, other := mint(t, auth.Operator, time.Time{})
	if !regexp.MustCompile(`^cnf_[a-z2-7]{12}_[A-Z2-7]{26}$`).MatchString(text) || text == other || one.ID == two.ID {
		t.Errorf("minted %q and %q", text, other)
	}
	if one.Role != "operator" || !one.Created.Equal(noon) || !one.Expires.Equal(noon.Add(time.Hour)) || len(one.SHA256) != 64 {
		t.Errorf("got %+v", one)
	}
	if secret := text[strings.LastIndex(text, "_")+1:]; strings.Contains(one.ID+one.SHA256, secret) {
		t.Error("the record holds the secret")
	}
	for _, name := range []string{"", "two\nlines", strings.Repeat("x", 101)} {
		if _, _, err := auth.Mint(name, auth.Viewer, noon, time.Time{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestRoles(t *testing.T) {
	for _, r := range []auth.Role{auth.Viewer, auth.Operator, auth.Admin} {
		if got, err := auth.ParseRole(r.String()); got != r || err != nil {
			t.Errorf("%v came back as %v, %v", r, got, err)
		}
	}
	for _, text := range []string{"", "public", "Admin"} {
		if _, err := auth.ParseRole(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got := auth.From(auth.With(t.Context(), auth.Identity{Name: "ada", Role: auth.Viewer})); got.Name != "ada" {
		t.Errorf("got %+v", got)
	}
	if got := auth.From(t.Context()); got.Role != auth.Nobody || got.Name != "" {
		t.Errorf("got %+v", got)
	}
}

func TestTheAdminTokenIsMadeOnceAndForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	token, err := auth.LoadAdmin(path)
	must(t, err)
	again, err := auth.LoadAdmin(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if len(token) < 16 || token != again || info.Mode() != 0o600 {
		t.Errorf("got %q, then %q, mode %v", token, again, info.Mode())
	}
	must(t, os.WriteFile(path, []byte("\n"), 0o600))
	if _, err := auth.LoadAdmin(path); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty token was taken: %v", err)
	}
	if _, err := auth.LoadAdmin(filepath.Join(path, "below")); err == nil {
		t.Error("a token was made below a file")
	}
}
