package api

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/service/admin"
	"conifer.dev/conifer/internal/service/auth"
	"conifer.dev/conifer/internal/service/store"
)

func (s *Server) listActivity(r *http.Request) ([]store.Activity, error) {
	limit, err := number(r, "limit", 100)
	if err != nil {
		return nil, err
	}
	return s.History.Activity(r.Context(), limit)
}

func (s *Server) fileUsage(*http.Request) ([]admin.Use, error) { return s.Files.Usage(), nil }

func (s *Server) listTokens(*http.Request) ([]store.Token, error) { return s.Fleet.Tokens(), nil }

// maxDays bounds how long a token that expires at all may live.
const maxDays = 3650

func (s *Server) addToken(r *http.Request, asked admin.TokenRequest) (admin.NewToken, error) {
	role, err := auth.ParseRole(asked.Role)
	if err != nil {
		return admin.NewToken{}, err
	}
	if asked.ExpiresInDays < 0 || asked.ExpiresInDays > maxDays {
		return admin.NewToken{}, fault.New(fault.Invalid, "expires_in_days is %d, not 0 (never) to %d", asked.ExpiresInDays, maxDays)
	}
	now, expires := time.Now().UTC().Truncate(time.Millisecond), time.Time{}
	if asked.ExpiresInDays > 0 {
		expires = now.AddDate(0, 0, asked.ExpiresInDays)
	}
	token, secret, err := auth.Mint(asked.Name, role, now, expires)
	if err != nil {
		return admin.NewToken{}, err
	}
	return admin.NewToken{Token: token, Secret: secret}, s.Fleet.AddToken(r.Context(), who(r), token)
}

func (s *Server) removeToken(r *http.Request) error {
	return s.Fleet.RemoveToken(r.Context(), who(r), r.PathValue("id"))
}

func (s *Server) exportConfiguration(*http.Request) (admin.Configuration, error) {
	return s.Fleet.Configuration(), nil
}

// applyConfiguration lets an operator change channels and groups; what an admin alone may do otherwise, an admin alone may do so.
func (s *Server) applyConfiguration(r *http.Request, wanted admin.Apply) (admin.Applied, error) {
	known := s.Fleet.Apps()
	news := slices.ContainsFunc(wanted.Apps, func(a store.App) bool { return !slices.Contains(known, a) })
	if i := auth.From(r.Context()); i.Role < auth.Admin && (wanted.Prune || news) {
		return admin.Applied{}, fault.New(fault.Forbidden, "%s is %s, and to prune or to change applications needs role %s", i.Name, i.Role, auth.Admin)
	}
	return s.Fleet.Apply(r.Context(), who(r), wanted)
}

// backup copies the database into a file that is named by the time.
func (s *Server) backup(r *http.Request) (admin.Backup, error) {
	if s.Copier == nil {
		return admin.Backup{}, fault.New(fault.Unsupported, "this database is not the service's own").WithHint("Use the database's own way: pg_dump.")
	}
	if !s.backingUp.TryLock() {
		return admin.Backup{}, fault.New(fault.Busy, "a backup is being made already").WithHint("Wait for it to end.")
	}
	defer s.backingUp.Unlock()
	if err := os.MkdirAll(s.BackupsIn, 0o700); err != nil {
		return admin.Backup{}, err
	}
	path := filepath.Join(s.BackupsIn, "conifer-"+time.Now().UTC().Format("20060102T150405.000Z")+".db")
	if err := s.Copier.Backup(r.Context(), path); err != nil {
		return admin.Backup{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return admin.Backup{}, err
	}
	s.Log.Info("made a backup", "path", path, "bytes", info.Size(), "who", who(r))
	return admin.Backup{Path: path, SizeBytes: info.Size()}, nil
}
