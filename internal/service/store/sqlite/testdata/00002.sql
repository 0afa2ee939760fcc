PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES(1,0,1,'2026-11-22 16:16:53');
INSERT INTO goose_db_version VALUES(2,1,1,'2026-11-22 16:16:53');
INSERT INTO goose_db_version VALUES(3,2,1,'2026-11-22 16:16:53');
CREATE TABLE app (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
, product_id TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
INSERT INTO app VALUES('conifer-os','conifer','{e96281a6-d1af-4bde-9a0a-97b76e56dc57}');
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
    added      INTEGER NOT NULL, floor TEXT NOT NULL DEFAULT '', dead_end TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (app, arch, version)
) STRICT, WITHOUT ROWID;
INSERT INTO "release" VALUES('conifer-os','amd64','1.1.0','conifer-os/amd64/1.1.0/','full.payload',1099511627776,'ab','[{"name":"x","size_bytes":2,"sha256":"cd"}]','a ''quoted'' ☂ note',1790000300000,'moves the state','the last');
CREATE TABLE channel (
    app  TEXT NOT NULL REFERENCES app (id),
    name TEXT NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;
INSERT INTO channel VALUES('conifer-os','alpha');
CREATE TABLE channel_release (
    app     TEXT NOT NULL,
    channel TEXT NOT NULL,
    arch    TEXT NOT NULL,
    version TEXT NOT NULL,
    PRIMARY KEY (app, channel, arch),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name),
    FOREIGN KEY (app, arch, version) REFERENCES release (app, arch, version)
) STRICT, WITHOUT ROWID;
INSERT INTO channel_release VALUES('conifer-os','alpha','amd64','1.1.0');
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
INSERT INTO bar VALUES('conifer-os','m1','amd64','1.1.0','canary','rolled-back','code 44',1790000300000);
CREATE TABLE halt (
    app     TEXT NOT NULL REFERENCES app (id),
    arch    TEXT NOT NULL,
    version TEXT NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (app, arch, version)
) STRICT, WITHOUT ROWID;
INSERT INTO halt VALUES('conifer-os','amd64','1.1.0','one rolled back','ann',1790000300000);
CREATE TABLE activity (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    app    TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT;
INSERT INTO activity VALUES(1,1790000300000,'ada','conifer-os','pinned machine m1');
CREATE TABLE word (
    number INTEGER PRIMARY KEY,
    text   TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO word VALUES(1,'conifer-os');
INSERT INTO word VALUES(2,'canary');
INSERT INTO word VALUES(3,'amd64');
INSERT INTO word VALUES(4,'downloading');
INSERT INTO word VALUES(5,'1.0.0');
INSERT INTO word VALUES(6,'1.1.0');
INSERT INTO word VALUES(7,'0.9.0');
INSERT INTO word VALUES(8,'rolled-back');
INSERT INTO word VALUES(9,'');
CREATE TABLE IF NOT EXISTS "fleet_group" (
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
INSERT INTO fleet_group VALUES('conifer-os','canary','alpha',0,0,'canary:1:24h,all:100','1000/15m',50,'2%','["0 22 * * 1-5; 4h; Europe/Berlin"]','7h','1.0.0',1);
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
INSERT INTO rollout VALUES('conifer-os','canary','amd64','1.1.0',1790000300000,1790000302000,2501,1);
CREATE TABLE pin (
    app       TEXT NOT NULL REFERENCES app (id),
    machine   TEXT NOT NULL,
    version   TEXT NOT NULL,
    downgrade INTEGER NOT NULL,
    by        TEXT NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (app, machine)
) STRICT, WITHOUT ROWID;
INSERT INTO pin VALUES('conifer-os','m1','1.0.0',1,'ann',1790000300000);
CREATE TABLE token (
    id      TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    role    TEXT NOT NULL,
    sha256  TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO token VALUES('t1','ci''s token','operator','9f86d0',1790000300000,1790000301000);
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
INSERT INTO machine_row VALUES(1,'m1','rack 1',2,3,4,5,6,0,1790000300000,1,'192.0.2.1',1790000300000,1790000303000);
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
INSERT INTO event_row VALUES(1,1,'m1',1790000300000,3,0,44,5,7,6,8);
INSERT INTO event_row VALUES(2,1,'m1',1790000303000,13,1,0,5,9,6,4);
CREATE TABLE sample (
    app         TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    step        INTEGER NOT NULL, -- milliseconds
    at          INTEGER NOT NULL,
    states      TEXT NOT NULL,
    versions    TEXT NOT NULL,
    PRIMARY KEY (app, fleet_group, step, at)
) STRICT, WITHOUT ROWID;
INSERT INTO sample VALUES('conifer-os','canary',3600000,1790000300000,'{"idle":1}','{"1.0.0":1}');
CREATE TABLE ledger (
    id          INTEGER PRIMARY KEY,
    app         TEXT NOT NULL,
    fleet_group TEXT NOT NULL,
    newest      INTEGER NOT NULL, -- serial
    newest_at   INTEGER NOT NULL,
    held        INTEGER NOT NULL, -- how many of its places are held
    UNIQUE (app, fleet_group)
) STRICT;
INSERT INTO ledger VALUES(1,'conifer-os','canary',1,1790000300000,1);
CREATE TABLE begun (
    ledger INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (ledger, serial)
) STRICT, WITHOUT ROWID;
INSERT INTO begun VALUES(1,1,1790000300000);
CREATE TABLE held (
    app     TEXT NOT NULL,
    machine TEXT NOT NULL,
    ledger  INTEGER NOT NULL REFERENCES ledger (id),
    version TEXT NOT NULL,
    PRIMARY KEY (app, machine)
) STRICT, WITHOUT ROWID;
INSERT INTO held VALUES('conifer-os','m1',1,'1.1.0');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('goose_db_version',3);
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
CREATE INDEX sample_by_age ON sample (step, at);
CREATE INDEX begun_by_age ON begun (ledger, at);
CREATE TRIGGER held_begins AFTER INSERT ON held BEGIN
    UPDATE ledger SET held = held + 1 WHERE id = new.ledger;
END;
CREATE TRIGGER held_ends AFTER DELETE ON held BEGIN
    UPDATE ledger SET held = held - 1 WHERE id = old.ledger;
END;
COMMIT;
