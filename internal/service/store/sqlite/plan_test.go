package sqlite

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"conifer.dev/conifer/internal/service/store"
)

// TestNothingIsScanned asks SQLite how it carries out every statement: none may walk through machines, events, places or samples, or its cost would grow with
// them. The statements are those that a store has prepared after all kinds of work, and those of reads.
func TestNothingIsScanned(t *testing.T) {
	s := opened(t)
	e := store.Event{App: "a", Machine: "m"}
	applied(t, s, store.PutApp{App: store.App{ID: "a", Name: "a"}}, store.PutMachine{Machine: store.Machine{App: "a", ID: "m"}}, store.AddEvent{Event: e},
		store.AddSample{Sample: store.Sample{App: "a"}}, store.RemoveMachine{App: "a", ID: "m"}, store.EndGrant{App: "a", Machine: "m"},
		store.AddDownloads{Downloads: store.Downloads{App: "a"}}, store.RemoveGroup{App: "a", Name: "g"})
	now := time.Now()
	for _, now := range []time.Time{now.Add(time.Hour), now} { // the clock is set back
		if _, err := s.Grant(t.Context(), store.Limit{App: "a", Group: "g", PerPeriod: 9, Period: time.Hour}, asks(20), now); err != nil {
			t.Fatal(err)
		}
	}
	cutoffs := store.Cutoffs{Events: now, Activity: now, Samples: map[time.Duration]time.Time{time.Minute: now}}
	if _, err := s.Prune(t.Context(), cutoffs); err != nil {
		t.Fatal(err)
	}
	texts := []string{
		eventSelect + ` ORDER BY e.number DESC LIMIT 9`,
		eventSelect + ` AND e.machine = ? ORDER BY e.number DESC LIMIT 9`,
		`SELECT * FROM machine WHERE app = 'a' AND id = 'm'`,
		`SELECT * FROM event WHERE app = 'a' AND machine = 'm' ORDER BY number DESC LIMIT 9`,
		spanSelect, appSelect, ledgerSelect, sampleSelect,
	}
	for text := range s.session.statements {
		if regexp.MustCompile(`^(SELECT|DELETE|UPDATE)`).MatchString(text) {
			texts = append(texts, text)
		}
	}
	if len(texts) < 20 {
		t.Errorf("there are only %d statements", len(texts))
	}
	large := regexp.MustCompile(`SCAN (m|machine_row|e|event_row|activity|b|begun|held|bar|pin|sample)\b`)
	for _, text := range texts {
		if plan := planOf(t, s, text); large.MatchString(plan) || plan == "" || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\n%s", text, plan)
		}
	}
}

// planOf is how SQLite carries out a statement, whatever its arguments.
func planOf(t *testing.T, s *Store, text string) string {
	t.Helper()
	rows, err := s.reader.Query("EXPLAIN QUERY PLAN " + strings.ReplaceAll(text, "?", "1"))
	if err != nil {
		t.Fatal(text, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString("  " + detail + "\n")
	}
	return plan.String()
}
