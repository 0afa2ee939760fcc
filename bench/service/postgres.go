package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store/postgres"
)

func openPostgres(ctx context.Context, url string) (keeper, error) { return postgres.Open(ctx, url) }

// emptyPostgres takes everything out of a database.
func emptyPostgres(ctx context.Context, url string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
	return err
}
