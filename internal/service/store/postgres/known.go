package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

// Machines reads the machines with these ids; one that is not there is left out.
func (s *Store) Machines(ctx context.Context, app string, ids []string) ([]store.Machine, error) {
	rows, err := s.pool.Query(ctx, selectMachines+` WHERE m.app = $1 AND m.id = ANY($2)`, pgx.QueryResultFormats{pgx.BinaryFormatCode}, app, ids)
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
