PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES(1,0,1,'2026-11-22 13:03:13');
INSERT INTO goose_db_version VALUES(2,1,1,'2026-11-22 13:03:13');
CREATE TABLE app (
    id   TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
INSERT INTO app VALUES('conifer-os','conifer');
INSERT INTO app VALUES('e96281a6-d1af-4bde-9a0a-97b76e56dc57','flatcar');
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
INSERT INTO "release" VALUES('conifer-os','amd64','1.0.0','conifer-os/amd64/1.0.0/','full.payload',1000,'aa','null','',1790000000000);
INSERT INTO "release" VALUES('conifer-os','amd64','1.1.0','conifer-os/amd64/1.1.0/','full.payload',1099511627776,'ab','[{"name":"x","size_bytes":2,"sha256":"cd"}]','a ''quoted'' ☂ note',1790000100123);
INSERT INTO "release" VALUES('conifer-os','arm64','1.1.0','conifer-os/arm64/1.1.0/','full.payload',1001,'ac','null','',1790000200000);
CREATE TABLE channel (
    app  TEXT NOT NULL REFERENCES app (id),
    name TEXT NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;
INSERT INTO channel VALUES('conifer-os','alpha');
INSERT INTO channel VALUES('conifer-os','empty');
INSERT INTO channel VALUES('conifer-os','stable');
INSERT INTO channel VALUES('e96281a6-d1af-4bde-9a0a-97b76e56dc57','stable');
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
INSERT INTO channel_release VALUES('conifer-os','alpha','arm64','1.1.0');
INSERT INTO channel_release VALUES('conifer-os','stable','amd64','1.0.0');
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
INSERT INTO fleet_group VALUES('conifer-os','canary','alpha',1,25,3);
INSERT INTO fleet_group VALUES('conifer-os','edge','alpha',0,0,0);
INSERT INTO fleet_group VALUES('conifer-os','stable','stable',0,100,1);
INSERT INTO fleet_group VALUES('conifer-os','waiting','empty',0,100,1);
INSERT INTO fleet_group VALUES('e96281a6-d1af-4bde-9a0a-97b76e56dc57','stable','stable',0,100,1);
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
INSERT INTO machine VALUES('conifer-os','m1','rack 1','canary','amd64','rolled-back','1.0.0','1.1.0',-2147483604,'b','192.0.2.1',1790000300000,1790000400123);
INSERT INTO machine VALUES('conifer-os','m2','','nowhere','','idle','','',0,'','',1790000300000,1790000300000);
INSERT INTO machine VALUES('e96281a6-d1af-4bde-9a0a-97b76e56dc57','m1','','stable','amd64','downloading','4081.2.0','4081.2.1',0,'','2001:db8::1',1790000300000,1790000500000);
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
INSERT INTO bar VALUES('conifer-os','m1','amd64','1.1.0','canary','rolled-back','code 44',1790000400000);
CREATE TABLE halt (
    app     TEXT NOT NULL REFERENCES app (id),
    arch    TEXT NOT NULL,
    version TEXT NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (app, arch, version)
) STRICT, WITHOUT ROWID;
INSERT INTO halt VALUES('conifer-os','amd64','1.1.0','one rolled back','error budget of group canary',1790000400001);
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
INSERT INTO event VALUES(1,'conifer-os','m1',1790000350000,13,1,0,'1.0.0','','1.1.0','downloading');
INSERT INTO event VALUES(2,'e96281a6-d1af-4bde-9a0a-97b76e56dc57','m1',1790000360000,13,1,0,'4081.2.0','','4081.2.1','downloading');
INSERT INTO event VALUES(7,'conifer-os','m1',1790000400000,3,0,44,'1.0.0','0.9.0','1.1.0','rolled-back');
CREATE TABLE activity (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    app    TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT;
INSERT INTO activity VALUES(1,1790000100123,'admin','conifer-os','add release 1.1.0');
INSERT INTO activity VALUES(2,1790000400001,'error budget','','halt');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('goose_db_version',2);
CREATE INDEX event_of_machine ON event (app, machine, number);
COMMIT;
