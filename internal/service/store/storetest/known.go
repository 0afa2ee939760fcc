package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/store"
)

// testMachines reads machines by id, beside others whose ids begin alike.
func testMachines(t *testing.T, d Database) {
	s := filled(t, d)
	for _, id := range []string{"m", "m10", "M1", "m1 "} {
		apply(t, s, store.PutMachine{Machine: store.Machine{App: app, ID: id}})
	}
	got, err := s.Machines(t.Context(), app, []string{"m1", "m2", "m10"})
	must(t, err)
	var want []store.Machine
	for _, c := range loaded(t, s) {
		if m, ok := c.(store.PutMachine); ok && m.Machine.App == app && (m.Machine.ID == "m1" || m.Machine.ID == "m10") {
			want = append(want, m.Machine)
		}
	}
	byID := cmp.Transformer("byID", func(all []store.Machine) map[string]store.Machine {
		m := map[string]store.Machine{}
		for _, one := range all {
			m[one.ID] = one
		}
		return m
	})
	if diff := cmp.Diff(want, got, byID); diff != "" || len(got) != 2 {
		t.Error(diff)
	}
	if got, err := s.Machines(t.Context(), "no such app", []string{"m1"}); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}
