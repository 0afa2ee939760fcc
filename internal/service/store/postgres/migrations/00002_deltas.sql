-- Deltas of releases, and how machines downloaded what they were offered. The default is for replicas of the version before, which go on
-- while the others are upgraded.
-- +goose Up
ALTER TABLE release ADD COLUMN deltas text NOT NULL DEFAULT 'null';

-- A row counts the finished downloads of one release by the machines of one group.
CREATE TABLE download (
    app           text COLLATE "C" NOT NULL,
    fleet_group   text COLLATE "C" NOT NULL,
    arch          text COLLATE "C" NOT NULL,
    version       text COLLATE "C" NOT NULL,
    fulls         bigint NOT NULL,
    full_bytes    bigint NOT NULL,
    deltas        bigint NOT NULL,
    delta_bytes   bigint NOT NULL,
    saved_bytes   bigint NOT NULL,
    failed_deltas bigint NOT NULL,
    PRIMARY KEY (app, fleet_group, arch, version)
) WITH (fillfactor = 50);

-- +goose Down
DROP TABLE download;
ALTER TABLE release DROP COLUMN deltas;
