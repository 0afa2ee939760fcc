package files

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"sync"

	"conifer.dev/conifer/internal/service/admin"
)

// maxUses bounds the table; beyond it everything is counted under the address "others".
const maxUses = 10000

type usage struct {
	mu   sync.Mutex
	uses map[[2]string]*admin.Use
}

func newUsage() *usage { return &usage{uses: map[[2]string]*admin.Use{}} }

func (u *usage) add(name string, r *http.Request, sent int64) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	key := [2]string{name, address}
	if u.uses[key] == nil && len(u.uses) >= maxUses {
		key = [2]string{"", "others"}
	}
	if u.uses[key] == nil {
		u.uses[key] = &admin.Use{Path: key[0], Address: key[1]}
	}
	u.uses[key].Requests++
	u.uses[key].Bytes += sent
}

// Usage lists what was sent, by path and address.
func (f *Folder) Usage() []admin.Use {
	f.usage.mu.Lock()
	defer f.usage.mu.Unlock()
	uses := []admin.Use{}
	for _, use := range f.usage.uses {
		uses = append(uses, *use)
	}
	slices.SortFunc(uses, func(a, b admin.Use) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Address, b.Address))
	})
	return uses
}
