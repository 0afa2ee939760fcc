package postgres

import (
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"conifer.dev/conifer/internal/fault"
)

// secrecy is the password that no error may show. The driver shows none today; this is for the day when it does.
type secrecy struct{ password string }

func secretOf(config *pgxpool.Config) secrecy { return secrecy{config.ConnConfig.Password} }

// unavailable gives an error of the database its meaning: nothing a caller did, and worth trying again.
func (s secrecy) unavailable(err error) error {
	if err != nil && s.password != "" && strings.Contains(err.Error(), s.password) {
		return fault.New(fault.Unavailable, "%s", strings.ReplaceAll(err.Error(), s.password, "…"))
	}
	return fault.Wrap(fault.Unavailable, err)
}
