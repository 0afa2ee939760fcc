package etcd

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"conifer.dev/conifer/internal/fault"
)

// Memory is a KV that forgets everything with the process.
type Memory struct {
	mu       sync.Mutex
	revision int64
	values   map[string]Value
}

// NewMemory is empty.
func NewMemory() *Memory { return &Memory{values: map[string]Value{}} }

func (m *Memory) enter(ctx context.Context) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(fault.Canceled, err)
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

// Load implements KV.
func (m *Memory) Load(ctx context.Context, key string) (Value, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Value{}, err
	}
	defer leave()
	return m.values[key], nil
}

// Swap implements KV.
func (m *Memory) Swap(ctx context.Context, key string, revision int64, text []byte) (Value, bool, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return Value{}, false, err
	}
	defer leave()
	if m.values[key].Revision != revision {
		return m.values[key], false, nil
	}
	m.revision++
	m.values[key] = Value{bytes.Clone(text), m.revision}
	return m.values[key], true, nil
}

// List implements KV.
func (m *Memory) List(ctx context.Context, prefix string) (map[string]Value, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found := map[string]Value{}
	for key, value := range m.values {
		if strings.HasPrefix(key, prefix) {
			found[key] = value
		}
	}
	return found, nil
}
