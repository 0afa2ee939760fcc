package postgres

import (
	"strings"
	"testing"

	"conifer.dev/conifer/internal/service/store/postgres/pgtest"
)

// TestStatementsLookUpInIndexes asks for the plans that are made while tables are empty, because those are kept.
func TestStatementsLookUpInIndexes(t *testing.T) {
	s := open(t, pgtest.Database(t))
	machines := []string{"m"}
	for name, c := range map[string]struct {
		sql  string
		args []any
	}{
		"used":            {readUsed, []any{"a", "g", 1000}},
		"ledgers":         {lockLedgers, []any{machines, machines}},
		"ledgers of asks": {lockGroups, []any{"a", "g", machines}},
		"held":            {readHeld, []any{"a", machines}},
		"ends of places":  {endPlaces, []any{machines, machines}},
		"machines by id":  {machinesByID, []any{"a", machines}},
		"feed":            {readFeed, []any{1, "r", 10}},
		"add to feed":     {addToFeed, []any{"r", []byte{}}},
	} {
		rows, err := s.pool.Query(t.Context(), "EXPLAIN "+c.sql, c.args...)
		try(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			try(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		try(t, rows.Err())
		whole := strings.Contains(plan.String(), "Seq Scan") || strings.Contains(plan.String(), "ANY (") || !strings.Contains(plan.String(), "Index")
		if whole {
			t.Errorf("%s:\n%s", name, &plan)
		}
	}
}
