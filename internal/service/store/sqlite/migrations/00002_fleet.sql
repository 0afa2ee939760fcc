-- What ten million machines need: short rows, places under limits, and policies in words.
-- +goose Up
ALTER TABLE app ADD COLUMN product_id TEXT NOT NULL DEFAULT '';
ALTER TABLE release ADD COLUMN floor TEXT NOT NULL DEFAULT '';
ALTER TABLE release ADD COLUMN dead_end TEXT NOT NULL DEFAULT '';

-- Texts that many rows share (applications, groups, architectures, states, versions) are kept once. A column that holds such a text
-- holds its number, or the text itself where the table was full: what a machine says must not make it grow without bound.
CREATE TABLE word (
    number INTEGER PRIMARY KEY,
    text   TEXT NOT NULL UNIQUE
) STRICT;

INSERT OR IGNORE INTO word (text) SELECT id FROM app;
INSERT OR IGNORE INTO word (text) SELECT fleet_group FROM machine UNION SELECT arch FROM machine UNION SELECT state FROM machine
    UNION SELECT version FROM machine UNION SELECT target FROM machine;
INSERT OR IGNORE INTO word (text) SELECT app FROM event UNION SELECT version FROM event UNION SELECT previous FROM event
    UNION SELECT target FROM event UNION SELECT state FROM event;

-- The parts of a policy are texts now. An update that is silent for six hours did not come back, as in new groups.
CREATE TABLE new_group (
    app            TEXT NOT NULL,
    name           TEXT NOT NULL,
    channel        TEXT NOT NULL,
    paused         INTEGER NOT NULL,
    paused_at      INTEGER NOT NULL,
    percent        TEXT NOT NULL,
    max_per_period TEXT NOT NULL,
    max_at_once    INTEGER NOT NULL,
    error_budget   TEXT NOT NULL,
    windows        TEXT NOT NULL,
    silent_after   TEXT NOT NULL,
    pin            TEXT NOT NULL,
    downgrade      INTEGER NOT NULL,
    PRIMARY KEY (app, name),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name)
) STRICT, WITHOUT ROWID;

INSERT INTO new_group
    SELECT app, name, channel, paused, iif(paused, unixepoch() * 1000, 0), CAST(percent AS TEXT), '', 0, CAST(error_budget AS TEXT), 'null', '6h', '', 0
    FROM fleet_group;
DROP TABLE fleet_group;
ALTER TABLE new_group RENAME TO fleet_group;

CREATE TABLE rollout (
    app         TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    arch        TEXT NOT NULL,
    version     TEXT NOT NULL,
    started     INTEGER NOT NULL,
    stopped     INTEGER NOT NULL,
    reached     INTEGER NOT NULL,
    emergency   INTEGER NOT NULL,
    PRIMARY KEY (app, fleet_group, arch, version)
) STRICT, WITHOUT ROWID;

-- What a channel points at is on its way to the groups that follow it, since there is nothing older to know, from when it was added.
INSERT INTO rollout
    SELECT g.app, g.name, c.arch, c.version, r.added, 0, 0, 0
    FROM fleet_group g
    JOIN channel_release c ON c.app = g.app AND c.channel = g.channel
    JOIN release r ON r.app = c.app AND r.arch = c.arch AND r.version = c.version;

CREATE TABLE pin (
    app       TEXT NOT NULL REFERENCES app (id),
    machine   TEXT NOT NULL,
    version   TEXT NOT NULL,
    downgrade INTEGER NOT NULL,
    by        TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (app, machine)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    role    TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Nothing refers to a machine and it refers to nothing, so that writing one is a single look-up in a single tree.
CREATE TABLE machine_row (
    app         INTEGER NOT NULL, -- word
    id          TEXT NOT NULL,
    alias       TEXT NOT NULL,
    fleet_group ANY NOT NULL, -- word
    arch        ANY NOT NULL, -- word
    state       ANY NOT NULL, -- word
    version     ANY NOT NULL, -- word
    target      ANY NOT NULL, -- word
    error_code  INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    granted     INTEGER NOT NULL,
    address     TEXT NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;

INSERT INTO machine_row
    SELECT a.number, m.id, m.alias, g.number, c.number, s.number, v.number, t.number, m.error_code, m.last_seen, 0, m.address, m.first_seen, m.last_seen
    FROM machine m
    JOIN word a ON a.text = m.app
    JOIN word g ON g.text = m.fleet_group
    JOIN word c ON c.text = m.arch
    JOIN word s ON s.text = m.state
    JOIN word v ON v.text = m.version
    JOIN word t ON t.text = m.target;
DROP TABLE machine;

-- What a person reads.
CREATE VIEW machine AS
    SELECT a.text AS app, m.id, m.alias,
        iif(typeof(m.fleet_group) = 'text', m.fleet_group, (SELECT text FROM word WHERE number = m.fleet_group)) AS fleet_group,
        iif(typeof(m.arch) = 'text', m.arch, (SELECT text FROM word WHERE number = m.arch)) AS arch,
        iif(typeof(m.state) = 'text', m.state, (SELECT text FROM word WHERE number = m.state)) AS state,
        iif(typeof(m.version) = 'text', m.version, (SELECT text FROM word WHERE number = m.version)) AS version,
        iif(typeof(m.target) = 'text', m.target, (SELECT text FROM word WHERE number = m.target)) AS target,
        m.error_code, datetime(m.since / 1000, 'unixepoch') AS since, m.granted, m.address,
        datetime(m.first_seen / 1000, 'unixepoch') AS first_seen, datetime(m.last_seen / 1000, 'unixepoch') AS last_seen
    FROM machine_row m
    JOIN word a ON a.number = m.app;

CREATE TABLE event_row (
    number     INTEGER PRIMARY KEY,
    app        INTEGER NOT NULL, -- word
    machine    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    type       INTEGER NOT NULL,
    result     INTEGER NOT NULL,
    error_code INTEGER NOT NULL,
    version    ANY NOT NULL, -- word
    previous   ANY NOT NULL, -- word
    target     ANY NOT NULL, -- word
    state      ANY NOT NULL  -- word
) STRICT;

INSERT INTO event_row
    SELECT e.number, a.number, e.machine, e.at, e.type, e.result, e.error_code, v.number, p.number, t.number, s.number
    FROM event e
    JOIN word a ON a.text = e.app
    JOIN word v ON v.text = e.version
    JOIN word p ON p.text = e.previous
    JOIN word t ON t.text = e.target
    JOIN word s ON s.text = e.state
    ORDER BY e.number;
DROP TABLE event;

-- Both indexes end in the number, as all do: the newest entries of a machine, or of an application, are a walk from one end.
CREATE INDEX event_of_machine ON event_row (app, machine);
CREATE INDEX event_of_app ON event_row (app);

CREATE VIEW event AS
    SELECT e.number, a.text AS app, e.machine, datetime(e.at / 1000, 'unixepoch') AS at, e.type, e.result, e.error_code,
        iif(typeof(e.version) = 'text', e.version, (SELECT text FROM word WHERE number = e.version)) AS version,
        iif(typeof(e.previous) = 'text', e.previous, (SELECT text FROM word WHERE number = e.previous)) AS previous,
        iif(typeof(e.target) = 'text', e.target, (SELECT text FROM word WHERE number = e.target)) AS target,
        iif(typeof(e.state) = 'text', e.state, (SELECT text FROM word WHERE number = e.state)) AS state
    FROM event_row e
    JOIN word a ON a.number = e.app;

CREATE TABLE sample (
    app         TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    step        INTEGER NOT NULL, -- milliseconds
    at          INTEGER NOT NULL,
    states      TEXT NOT NULL,
    versions    TEXT NOT NULL,
    PRIMARY KEY (app, fleet_group, step, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX sample_by_age ON sample (step, at);

-- A ledger is what a group's limits count. Every place has the next serial number of its ledger when it begins, and begins no earlier than
-- the one before, so that the count in a period is the newest number less the first one in the period, plus one.
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY,
    app         TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    newest      INTEGER NOT NULL, -- serial
    newest_at   INTEGER NOT NULL,
    held        INTEGER NOT NULL, -- how many of its places are held
    UNIQUE (app, fleet_group)
) STRICT;

CREATE TABLE begun (
    ledger INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (ledger, serial)
) STRICT, WITHOUT ROWID;

CREATE INDEX begun_by_age ON begun (ledger, at);

-- A machine holds one place in an application at most.
CREATE TABLE held (
    app     TEXT NOT NULL,
    machine TEXT NOT NULL,
    ledger  INTEGER NOT NULL REFERENCES ledger (id),
    version TEXT NOT NULL,
    PRIMARY KEY (app, machine)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER held_begins AFTER INSERT ON held BEGIN
    UPDATE ledger SET held = held + 1 WHERE id = new.ledger;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER held_ends AFTER DELETE ON held BEGIN
    UPDATE ledger SET held = held - 1 WHERE id = old.ledger;
END;
-- +goose StatementEnd
