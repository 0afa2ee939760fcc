package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

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

// ownPostgres makes a database for a size beside the one that is given, and returns its URL.
func ownPostgres(ctx context.Context, beside string, machines int) (string, error) {
	to, err := url.Parse(beside)
	if err != nil {
		return "", err
	}
	to.Path += fmt.Sprintf("_%d", machines)
	c, err := pgx.Connect(ctx, beside)
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	name := pgx.Identifier{strings.TrimPrefix(to.Path, "/")}.Sanitize()
	for _, line := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := c.Exec(ctx, line); err != nil {
			return "", err
		}
	}
	return to.String(), nil
}
