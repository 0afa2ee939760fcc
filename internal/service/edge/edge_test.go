package edge

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"conifer.dev/conifer/internal/fault"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func from(peer string, headers ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = peer
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestWhoseAddressARequestHas(t *testing.T) {
	trusted, err := ParseProxies([]string{"10.0.0.0/8", "2001:db8::1"})
	must(t, err)
	const forwarded = "X-Forwarded-For"
	cases := []struct {
		name string
		r    *http.Request
		want string
	}{
		{"a machine by itself", from("192.0.2.1:4000"), "192.0.2.1"},
		{"a machine that claims another", from("192.0.2.1:4000", forwarded, "198.51.100.1"), "192.0.2.1"},
		{"behind a proxy", from("10.0.0.1:1", forwarded, "192.0.2.1"), "192.0.2.1"},
		{"behind a proxy, with a claim", from("10.0.0.1:1", forwarded, "198.51.100.1, 192.0.2.1"), "192.0.2.1"},
		{"behind two proxies", from("[2001:db8::1]:1", forwarded, "192.0.2.1,10.0.0.2"), "192.0.2.1"},
		{"two headers", from("10.0.0.1:1", forwarded, "192.0.2.1", forwarded, "10.0.0.2"), "192.0.2.1"},
		{"only proxies", from("10.0.0.1:1", forwarded, "10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		{"a proxy that says nothing", from("10.0.0.1:1"), "10.0.0.1"},
		{"a proxy that says nonsense", from("10.0.0.1:1", forwarded, "192.0.2.1, unknown"), "10.0.0.1"},
		{"with a port", from("10.0.0.1:1", forwarded, "192.0.2.1:4000"), "192.0.2.1"},
		{"version 6, with a port", from("10.0.0.1:1", forwarded, "[2001:db8::7]:4000"), "2001:db8::7"},
		{"version 6, in brackets", from("10.0.0.1:1", forwarded, "[2001:db8::7]"), "2001:db8::7"},
		{"version 4 in 6", from("[::ffff:10.0.0.1]:1", forwarded, "::ffff:192.0.2.1"), "192.0.2.1"},
	}
	for _, c := range cases {
		if got := trusted.Client(c.r).String(); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if got := Proxies(nil).Client(from("10.0.0.1:1", forwarded, "192.0.2.1")).String(); got != "10.0.0.1" {
		t.Errorf("nobody is trusted: got %s", got)
	}
	if got := trusted.Client(from("@")); got.IsValid() {
		t.Errorf("a peer without an address: got %s", got)
	}
}

// Whatever a machine writes into the header, the address is its own.
func TestNoClaimIsBelieved(t *testing.T) {
	trusted, err := ParseProxies([]string{"10.0.0.0/8"})
	must(t, err)
	rapid.Check(t, func(t *rapid.T) {
		claim := rapid.StringMatching(`[0-9a-f:., ]{0,40}`).Draw(t, "claim")
		if got := trusted.Client(from("192.0.2.1:1", "X-Forwarded-For", claim)).String(); got != "192.0.2.1" {
			t.Fatalf("directly: got %s", got)
		}
		if got := trusted.Client(from("10.0.0.1:1", "X-Forwarded-For", claim+", 192.0.2.1")).String(); got != "192.0.2.1" {
			t.Fatalf("through a proxy: got %s", got)
		}
	})
}

func TestScheme(t *testing.T) {
	trusted, err := ParseProxies([]string{"10.0.0.1"})
	must(t, err)
	secure := from("192.0.2.1:1")
	secure.TLS = &tls.ConnectionState{}
	cases := []struct {
		r    *http.Request
		want string
	}{
		{from("192.0.2.1:1"), "http"},
		{secure, "https"},
		{from("192.0.2.1:1", "X-Forwarded-Proto", "https"), "http"},
		{from("10.0.0.1:1", "X-Forwarded-Proto", "HTTPS"), "https"},
		{from("10.0.0.1:1", "X-Forwarded-Proto", "https, http"), "http"},
		{from("10.0.0.1:1"), "http"},
	}
	for i, c := range cases {
		if got := trusted.Scheme(c.r); got != c.want {
			t.Errorf("case %d: got %s, want %s", i, got, c.want)
		}
	}
}

func TestWrongProxies(t *testing.T) {
	for _, text := range []string{"", "10.0.0.0/33", "proxy.example", "10.0.0"} {
		if _, err := ParseProxies([]string{text}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "neither a network nor an address") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRates(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	r := NewRates(time.Second, 2, func() time.Time { return now })
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	take := func(a netip.Addr, want bool) {
		t.Helper()
		if wait, ok := r.Take(a); ok != want || ok && wait != 0 || !ok && (wait <= 0 || wait > time.Second) {
			t.Errorf("%s: got %v, wait %v", a, ok, wait)
		}
	}
	if _, spent := r.Spent(one); spent {
		t.Error("an address that has done nothing has nothing left")
	}
	take(one, true)
	take(one, true)
	take(one, false)
	take(other, true)
	if wait, spent := r.Spent(one); !spent || wait > time.Second {
		t.Errorf("got %v, wait %v", spent, wait)
	}
	now = now.Add(time.Second)
	take(one, true)
	take(one, false)
	take(netip.Addr{}, true)
}

// Of version 6 a site has a network, and all of its addresses share what it may do.
func TestASiteCountsOnce(t *testing.T) {
	now := time.Now()
	r := NewRates(time.Second, 1, func() time.Time { return now })
	for i, c := range []struct {
		address string
		want    bool
	}{{"2001:db8:0:1::1", true}, {"2001:db8:0:1::2", false}, {"2001:db8:0:2::1", true}} {
		if _, ok := r.Take(netip.MustParseAddr(c.address)); ok != c.want {
			t.Errorf("case %d: got %v", i, ok)
		}
	}
}

// However many addresses there are, the table does not grow beyond its bound, and those that are quiet make room.
func TestRatesAreBounded(t *testing.T) {
	now := time.Now()
	r := NewRates(time.Second, 1, func() time.Time { return now })
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	taken := 0
	for i := range maxAddresses + 100 {
		if _, ok := r.Take(address(i)); ok {
			taken++
		}
	}
	if len(r.known) != maxAddresses || taken != maxAddresses+1 {
		t.Errorf("%d addresses are known, %d were allowed", len(r.known), taken)
	}
	now = now.Add(2 * time.Second)
	if _, ok := r.Take(address(maxAddresses + 200)); !ok || len(r.known) != 1 {
		t.Errorf("%d addresses are known after all were quiet", len(r.known))
	}
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1, time.Second)
		if !g.Enter() || g.Inside() != 1 {
			t.Fatal("the first one did not get in")
		}
		got := make(chan bool)
		go func() { got <- g.Enter() }()
		synctest.Wait()
		began := time.Now()
		if g.Enter() || time.Since(began) != 0 {
			t.Error("a second one waited, where one may")
		}
		g.Leave()
		if !<-got {
			t.Error("the one that waited did not get the place")
		}
		began = time.Now()
		if g.Enter() || time.Since(began) != time.Second {
			t.Errorf("it waited for %v", time.Since(began))
		}
		g.Leave()
		if !g.Enter() {
			t.Error("a place that was given back is lost")
		}
	})
}

func TestAGateWithoutPatience(t *testing.T) {
	g := NewGate(1, 0)
	if !g.Enter() || g.Enter() {
		t.Error("one gets in, and no other")
	}
}
