package sqlite

import (
	"context"
	"database/sql"

	"conifer.dev/conifer/internal/service/store"
)

func (t *transaction) addDownloads(d store.Downloads) error {
	return t.exec(`INSERT INTO download (app, fleet_group, arch, version, fulls, full_bytes, deltas, delta_bytes, saved_bytes, failed_deltas)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (app, fleet_group, arch, version) DO UPDATE SET fulls = fulls + excluded.fulls, full_bytes = full_bytes + excluded.full_bytes,
		deltas = deltas + excluded.deltas, delta_bytes = delta_bytes + excluded.delta_bytes, saved_bytes = saved_bytes + excluded.saved_bytes,
		failed_deltas = failed_deltas + excluded.failed_deltas`,
		d.App, d.Group, d.Arch, d.Version, d.Fulls, d.FullBytes, d.Deltas, d.DeltaBytes, d.SavedBytes, d.FailedDeltas)
}

// Downloads lists what was counted of an application, or of one group of it, by group, architecture and version.
func (s *Store) Downloads(ctx context.Context, app, group string) ([]store.Downloads, error) {
	all := []store.Downloads{}
	err := each(ctx, s.reader, func(rows *sql.Rows) error {
		d := store.Downloads{App: app}
		if err := rows.Scan(&d.Group, &d.Arch, &d.Version, &d.Fulls, &d.FullBytes, &d.Deltas, &d.DeltaBytes, &d.SavedBytes, &d.FailedDeltas); err != nil {
			return err
		}
		all = append(all, d)
		return nil
	}, `SELECT fleet_group, arch, version, fulls, full_bytes, deltas, delta_bytes, saved_bytes, failed_deltas
		FROM download WHERE app = ? AND (fleet_group = ? OR ? = '') ORDER BY fleet_group, arch, version`, app, group, group)
	return all, err
}
