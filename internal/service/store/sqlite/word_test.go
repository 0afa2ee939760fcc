package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"conifer.dev/conifer/internal/service/store"
)

// TestWordsHaveAnEnd lets machines say more versions than there are words. All are found again, and the rest as the text itself.
func TestWordsHaveAnEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conifer.db")
	s := open(t, path)
	changes := []store.Change{store.PutApp{App: store.App{ID: "a", Name: "a"}}}
	for i := range maxWords + 100 {
		m := store.Machine{App: "a", ID: fmt.Sprint(i)}
		m.Version = fmt.Sprint("version ", i)
		changes = append(changes, store.PutMachine{Machine: m})
	}
	late := []store.Change{store.PutApp{App: store.App{ID: "late", Name: "late"}}, store.PutMachine{Machine: store.Machine{App: "late", ID: "m"}}}
	applied(t, s, changes...)
	applied(t, s, late...) // an application always has a word
	changes = append(changes, late...)
	s.Close()
	s = open(t, path)
	defer s.Close()
	if diff := cmp.Diff(sorted(changes), sorted(loaded(t, s))); diff != "" {
		t.Error(diff)
	}
	var words, texts int // "a" and "" have words too
	row := s.reader.QueryRow(`SELECT (SELECT count(*) FROM word), (SELECT count(*) FROM machine_row WHERE typeof(version) = 'text')`)
	if err := row.Scan(&words, &texts); err != nil || words != maxWords+1 || texts != 102 {
		t.Errorf("%d words, and %d versions as text (%v)", words, texts, err)
	}
}

// TestViews: a person who looks into the file reads words and times, whether a column has a number or a text.
func TestViews(t *testing.T) {
	s := opened(t)
	m := machine(1)
	applied(t, s, store.PutApp{App: store.App{ID: m.App, Name: "a"}}, store.PutMachine{Machine: m},
		store.AddEvent{Event: store.Event{App: m.App, Machine: m.ID, At: m.Since, Version: "4081.2.0", State: "downloading"}})
	if err := s.session.exec(`UPDATE machine_row SET arch = 'a text'`); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		`SELECT concat_ws('|', id, fleet_group, arch, state, version, target, since, last_seen) FROM machine WHERE app = ? AND id = ?`: m.ID +
			"|group-1|a text|idle|4081.2.1||2026-09-21 14:13:20|2026-09-21 14:13:20",
		`SELECT concat_ws('|', number, at, version, previous, state) FROM event WHERE app = ? AND machine = ?`: "1|2026-09-21 14:13:20|4081.2.0||downloading",
	} {
		var got string
		if err := s.reader.QueryRow(query, m.App, m.ID).Scan(&got); err != nil || got != want {
			t.Errorf("got %s, want %s (%v)", got, want, err)
		}
	}
}
