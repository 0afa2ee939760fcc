package main

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/api"
	"conifer.dev/conifer/internal/service/fleet"
	"conifer.dev/conifer/internal/service/store/postgres"
	"conifer.dev/conifer/internal/service/store/sqlite"
)

// database is what both kinds of it can do.
type database interface {
	fleet.Store
	api.History
	Close() error
}

// openDatabase opens the one that the settings name.
func openDatabase(ctx context.Context, settings Config, log *slog.Logger) (database, error) {
	path, err := settings.databasePath()
	if err != nil {
		return nil, err
	}
	if path != "" {
		db, err := sqlite.Open(ctx, path)
		return orNil(db, err)
	}
	address, err := databaseURL(settings, log)
	if err != nil {
		return nil, err
	}
	db, err := postgres.Open(ctx, address)
	return orNil(db, err)
}

// orNil keeps a nil pointer out of an interface, where it would not be nil.
func orNil[D database](db D, err error) (database, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}

// databaseURL puts the password from its file into the URL.
func databaseURL(settings Config, log *slog.Logger) (string, error) {
	at, err := url.Parse(settings.Database)
	if err != nil {
		return "", fault.New(fault.Invalid, "the database's address is not a URL like postgres://USER@HOST/NAME") // not err, which quotes it
	}
	if _, inside := at.User.Password(); inside {
		log.Warn("there is a password in the database's URL, which everybody on this host may read in the list of processes",
			"instead", "database_password_file")
	}
	if settings.DatabasePasswordFile == "" {
		return settings.Database, nil
	}
	password, err := os.ReadFile(settings.DatabasePasswordFile)
	if err != nil {
		return "", fault.New(fault.Invalid, "read the database's password: %w", err)
	}
	at.User = url.UserPassword(at.User.Username(), strings.TrimRight(string(password), "\r\n"))
	return at.String(), nil
}
