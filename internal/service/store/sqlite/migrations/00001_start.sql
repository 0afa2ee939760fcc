-- Times are milliseconds since 1970, UTC. Lists inside a record are JSON.
-- +goose Up
CREATE TABLE app (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE release (
    app        TEXT NOT NULL REFERENCES app (id),
    arch       TEXT NOT NULL,
    version    TEXT NOT NULL,
    url        TEXT NOT NULL,
    file       TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    extra      TEXT NOT NULL,
    notes      TEXT NOT NULL,
    added      INTEGER NOT NULL,
    PRIMARY KEY (app, arch, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel (
    app  TEXT NOT NULL REFERENCES app (id),
    name TEXT NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_release (
    app     TEXT NOT NULL,
    channel TEXT NOT NULL,
    arch    TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (app, channel, arch),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name),
    FOREIGN KEY (app, arch, version) REFERENCES release (app, arch, version)
) STRICT, WITHOUT ROWID;

-- "group" and "release" as SQL knows them are words of the language; fleet_group is not.
CREATE TABLE fleet_group (
    app          TEXT NOT NULL,
    name         TEXT NOT NULL,
    channel      TEXT NOT NULL,
    paused       INTEGER NOT NULL,
    percent      INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
    error_budget INTEGER NOT NULL CHECK (error_budget >= 0),
    PRIMARY KEY (app, name),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE machine (
    app         TEXT NOT NULL REFERENCES app (id),
    id          TEXT NOT NULL,
    alias       TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    arch        TEXT NOT NULL,
    state       TEXT NOT NULL,
    version     TEXT NOT NULL,
    target      TEXT NOT NULL,
    error_code  INTEGER NOT NULL,
    boot_id     TEXT NOT NULL,
    address     TEXT NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE bar (
    app         TEXT NOT NULL REFERENCES app (id),
    machine     TEXT NOT NULL,
    arch        TEXT NOT NULL,
    version     TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (app, machine, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE halt (
    app     TEXT NOT NULL REFERENCES app (id),
    arch    TEXT NOT NULL,
    version TEXT NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (app, arch, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    number     INTEGER PRIMARY KEY,
    app        TEXT NOT NULL REFERENCES app (id),
    machine    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    type       INTEGER NOT NULL,
    result     INTEGER NOT NULL,
    error_code INTEGER NOT NULL,
    version    TEXT NOT NULL,
    previous   TEXT NOT NULL,
    target     TEXT NOT NULL,
    state      TEXT NOT NULL
) STRICT;

CREATE INDEX event_of_machine ON event (app, machine, number);

CREATE TABLE activity (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    app    TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT;

-- +goose Down
DROP TABLE activity;
DROP TABLE event;
DROP TABLE halt;
DROP TABLE bar;
DROP TABLE machine;
DROP TABLE fleet_group;
DROP TABLE channel_release;
DROP TABLE channel;
DROP TABLE release;
DROP TABLE app;
