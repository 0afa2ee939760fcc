package postgres

import (
	"context"
	"encoding/binary"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/rollout"
	"conifer.dev/conifer/internal/service/store"
	"conifer.dev/conifer/internal/wire/omaha"
)

// machineFields are the columns of machine m as words.machine reads them. Who holds a place is said by the ledger too: a place
// may have been given since the record was written. It is in p.
const machineFields = `m.app, m.id, m.alias, m.fleet_group, m.arch, m.state, m.version, m.target, m.address,
	m.error_code, m.since, m.first_seen, m.last_seen, m.granted OR p.machine IS NOT NULL`

const allMachines = `SELECT ` + machineFields + ` FROM machine m
	LEFT JOIN place p ON p.app = m.app AND p.machine = m.id AND p.ended = 0`

// loadMachines decodes the rows itself, in PostgreSQL's binary format, because there are millions of them.
func loadMachines(ctx context.Context, l *loading) error {
	rows, err := l.tx.Query(ctx, allMachines, pgx.QueryResultFormats{pgx.BinaryFormatCode})
	if err != nil {
		return l.errors.unavailable(err)
	}
	defer rows.Close()
	words := words{}
	for rows.Next() {
		if err := l.yield(store.PutMachine{Machine: words.machine(rows.RawValues())}); err != nil {
			return err
		}
	}
	return l.errors.unavailable(rows.Err())
}

// words holds one copy of each word that millions of machines share.
type words map[string]string

func (w words) word(raw []byte) string {
	if known, ok := w[string(raw)]; ok {
		return known
	}
	word := string(raw)
	if len(w) < 1<<16 { // what machines make up is not gathered without end
		w[word] = word
	}
	return word
}

func (w words) machine(v [][]byte) store.Machine {
	return store.Machine{
		App: w.word(v[0]), ID: string(v[1]), Alias: string(v[2]), Group: w.word(v[3]), Arch: w.word(v[4]),
		Progress: rollout.Progress{State: rollout.State(w.word(v[5])), Version: w.word(v[6]), Target: w.word(v[7]), Code: omaha.ErrorCode(number(v[9]))},
		Address:  string(v[8]), Since: fromMillis(number(v[10])), FirstSeen: fromMillis(number(v[11])), LastSeen: fromMillis(number(v[12])),
		Granted: v[13][0] != 0,
	}
}

func number(raw []byte) int64 { return int64(binary.BigEndian.Uint64(raw)) }
