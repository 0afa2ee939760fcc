-- Deltas of releases, and how machines downloaded what they were offered.
-- +goose Up
ALTER TABLE release ADD COLUMN deltas TEXT NOT NULL DEFAULT 'null';

-- A row counts the finished downloads of one release by the machines of one group.
CREATE TABLE download (
    app           TEXT NOT NULL,
    fleet_group   TEXT NOT NULL,
    arch          TEXT NOT NULL,
    version       TEXT NOT NULL,
    fulls         INTEGER NOT NULL,
    full_bytes    INTEGER NOT NULL,
    deltas        INTEGER NOT NULL,
    delta_bytes   INTEGER NOT NULL,
    saved_bytes   INTEGER NOT NULL,
    failed_deltas INTEGER NOT NULL,
    PRIMARY KEY (app, fleet_group, arch, version)
) STRICT, WITHOUT ROWID;
