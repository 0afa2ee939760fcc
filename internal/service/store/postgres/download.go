package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"conifer.dev/conifer/internal/service/store"
)

const addDownloads = `INSERT INTO download AS d (app, fleet_group, arch, version, fulls, full_bytes, deltas, delta_bytes, saved_bytes, failed_deltas)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
	ON CONFLICT (app, fleet_group, arch, version) DO UPDATE SET fulls = d.fulls + excluded.fulls, full_bytes = d.full_bytes + excluded.full_bytes,
		deltas = d.deltas + excluded.deltas, delta_bytes = d.delta_bytes + excluded.delta_bytes, saved_bytes = d.saved_bytes + excluded.saved_bytes,
		failed_deltas = d.failed_deltas + excluded.failed_deltas`

// Downloads lists what was counted of an application, or of one group of it, by group, architecture and version.
func (s *Store) Downloads(ctx context.Context, app, group string) ([]store.Downloads, error) {
	return collect(ctx, s, func(row pgx.CollectableRow) (store.Downloads, error) {
		d := store.Downloads{App: app}
		err := row.Scan(&d.Group, &d.Arch, &d.Version, &d.Fulls, &d.FullBytes, &d.Deltas, &d.DeltaBytes, &d.SavedBytes, &d.FailedDeltas)
		return d, err
	}, `SELECT fleet_group, arch, version, fulls, full_bytes, deltas, delta_bytes, saved_bytes, failed_deltas
		FROM download WHERE app = $1 AND (fleet_group = $2 OR $2 = '') ORDER BY fleet_group, arch, version`, text(app), text(group))
}
