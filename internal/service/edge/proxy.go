package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"conifer.dev/conifer/internal/fault"
)

// Proxies are the networks whose word about where a request came from is taken.
type Proxies []netip.Prefix

// ParseProxies reads networks (10.0.0.0/8) and single addresses.
func ParseProxies(texts []string) (Proxies, error) {
	var p Proxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "trusted proxy %q is neither a network nor an address", text).
				WithHint("Write it like 10.1.0.0/16 or 192.0.2.7.")
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p Proxies) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// Client is the address that a request came from: the peer's, or when that is a trusted proxy, the last hop of X-Forwarded-For
// that is none. What somebody wrote further left is his own claim, and counts for nothing.
func (p Proxies) Client(r *http.Request) netip.Addr {
	at := peer(r)
	if len(p) == 0 || !p.trusts(at) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return at
		}
		if at = next; !p.trusts(at) {
			return at
		}
	}
	return at
}

// Scheme is http or https, as the client spoke it.
func (p Proxies) Scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	if len(p) > 0 && p.trusts(peer(r)) {
		// Each proxy appends its own; the nearest one is the trusted one's.
		said := r.Header.Values("X-Forwarded-Proto")
		last := strings.Split(strings.Join(said, ","), ",")
		if strings.EqualFold(strings.TrimSpace(last[len(last)-1]), "https") {
			return "https"
		}
	}
	return "http"
}

// peer is who the connection is with; an invalid address when it is not of the internet.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// parseHop reads an address, which some proxies write with a port.
func parseHop(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), nil
	}
	at, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return at.Unmap().WithZone(""), err
}
