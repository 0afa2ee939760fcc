package fleet

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/store"
)

// Tokens lists the tokens by name.
func (f *Fleet) Tokens() []store.Token {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Collect(maps.Values(f.memory.tokens))
	slices.SortFunc(all, func(a, b store.Token) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}

// Token is the token with an id.
func (f *Fleet) Token(id string) (store.Token, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.memory.tokens[id]
	return t, ok
}

// AddToken keeps a token.
func (f *Fleet) AddToken(ctx context.Context, who string, t store.Token) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		if _, exists := m.tokens[t.ID]; exists {
			return nil, fault.New(fault.Conflict, "there is a token %s already", t.ID)
		}
		return []store.Change{store.PutToken{Token: t}, f.activity(who, "", "added token "+t.ID+" ("+t.Name+") with role "+t.Role)}, nil
	})
}

// RemoveToken makes a token worthless, at once.
func (f *Fleet) RemoveToken(ctx context.Context, who, id string) error {
	return f.change(ctx, func(m *memory) ([]store.Change, error) {
		t, exists := m.tokens[id]
		if !exists {
			return nil, fault.New(fault.NotFound, "there is no token %s", id).WithHint("`conifer token list` shows those that there are.")
		}
		return []store.Change{store.RemoveToken{ID: id}, f.activity(who, "", "removed token "+id+" ("+t.Name+")")}, nil
	})
}
