package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// machinesByID looks each machine up by itself: asked for as a set, PostgreSQL may read all of the application.
const machinesByID = `SELECT ` + machineFields + ` FROM unnest($2::text[]) AS a (id),
	LATERAL (SELECT * FROM machine WHERE app = $1 AND id = a.id LIMIT 1) m
	LEFT JOIN LATERAL (SELECT machine FROM place WHERE app = $1 AND machine = a.id AND ended = 0 LIMIT 1) p ON true`

// Machines reads the machines with these ids; one that is not there is left out.
func (s *Store) Machines(ctx context.Context, app string, ids []string) ([]store.Machine, error) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	rows, err := s.pool.Query(ctx, machinesByID, pgx.QueryResultFormats{pgx.BinaryFormatCode}, text(app), gather(ids, text))
	if err != nil {
		return nil, s.errors.unavailable(err)
	}
	defer rows.Close()
	var all []store.Machine
	words := words{}
	for rows.Next() {
		all = append(all, words.machine(rows.RawValues()))
	}
	return all, s.errors.unavailable(rows.Err())
}
