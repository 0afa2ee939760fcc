package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestThePasswordComesFromItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(path, []byte("a/b@c%\n"), 0o600))
	cases := []struct{ database, file, want, said string }{
		{"postgres://conifer@db.example/fleet", "", "postgres://conifer@db.example/fleet", ""},
		{"postgres://conifer@db.example/fleet?sslmode=verify-full", path, "postgres://conifer:a%2Fb%40c%25@db.example/fleet?sslmode=verify-full", ""},
		{"postgres:///fleet?host=/run/postgresql&user=conifer", "", "postgres:///fleet?host=/run/postgresql&user=conifer", ""},
		{"postgres://conifer:open@db.example/fleet", path, "postgres://conifer:a%2Fb%40c%25@db.example/fleet", "there is a password in the database's URL"},
	}
	for _, c := range cases {
		var log strings.Builder
		got, err := databaseURL(Config{Database: c.database, DatabasePasswordFile: c.file}, slog.New(slog.NewTextHandler(&log, nil)))
		must(t, err)
		if got != c.want || !strings.Contains(log.String(), c.said) || c.said == "" && log.Len() > 0 || strings.Contains(log.String(), "open") {
			t.Errorf("%s: got %s, log %q", c.database, got, &log)
		}
	}
}

func TestWhereTheDatabaseIs(t *testing.T) {
	for database, want := range map[string]string{
		"": "/data/conifer.db", "sqlite:/elsewhere/x.db": "/elsewhere/x.db", "sqlite:///elsewhere/x.db": "/elsewhere/x.db", "sqlite:x.db": "x.db",
		"postgres://a@b/c": "", "postgresql://a@b/c": "",
	} {
		config := Config{Database: database, Data: "/data"}
		if got, err := config.databasePath(); got != want || err != nil {
			t.Errorf("%q: got %q, %v", database, got, err)
		}
	}
}
