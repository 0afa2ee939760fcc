-- Times are milliseconds since 1970, UTC; 0 is none. Lists inside a record are JSON, as text. Keys compare by their bytes
-- (collation C): no two servers order them differently, and indexes are quicker.
-- +goose Up
CREATE TABLE app (
    id         text COLLATE "C" PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    product_id text NOT NULL
);

CREATE TABLE release (
    app        text COLLATE "C" NOT NULL REFERENCES app (id),
    arch       text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    url        text NOT NULL,
    file       text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256     text NOT NULL,
    extra      text NOT NULL,
    notes      text NOT NULL,
    floor      text NOT NULL,
    dead_end   text NOT NULL,
    added      bigint NOT NULL,
    PRIMARY KEY (app, arch, version)
);

CREATE TABLE channel (
    app  text COLLATE "C" NOT NULL REFERENCES app (id),
    name text COLLATE "C" NOT NULL,
    PRIMARY KEY (app, name)
);

CREATE TABLE channel_release (
    app     text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    arch    text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    PRIMARY KEY (app, channel, arch),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name),
    FOREIGN KEY (app, arch, version) REFERENCES release (app, arch, version)
);

-- "group" is a word of SQL; fleet_group is not.
CREATE TABLE fleet_group (
    app            text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    channel        text COLLATE "C" NOT NULL,
    paused         boolean NOT NULL,
    paused_at      bigint NOT NULL,
    percent        text NOT NULL,
    max_per_period text NOT NULL,
    max_at_once    bigint NOT NULL,
    error_budget   text NOT NULL,
    windows        text NOT NULL,
    silent_after   text NOT NULL,
    pin            text NOT NULL,
    downgrade      boolean NOT NULL,
    PRIMARY KEY (app, name),
    FOREIGN KEY (app, channel) REFERENCES channel (app, name)
);

CREATE TABLE rollout (
    app         text COLLATE "C" NOT NULL REFERENCES app (id),
    fleet_group text COLLATE "C" NOT NULL,
    arch        text COLLATE "C" NOT NULL,
    version     text COLLATE "C" NOT NULL,
    started     bigint NOT NULL,
    stopped     bigint NOT NULL,
    reached     bigint NOT NULL,
    emergency   boolean NOT NULL,
    PRIMARY KEY (app, fleet_group, arch, version)
);

-- Machines are written by the ten thousand, and events with them. They refer to an application without a constraint, which
-- would lock the application's row once for each of them. The free space in every page lets a machine that was seen again be
-- written beside itself, without a change of the index.
CREATE TABLE machine (
    app         text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    alias       text NOT NULL,
    fleet_group text NOT NULL,
    arch        text NOT NULL,
    state       text NOT NULL,
    version     text NOT NULL,
    target      text NOT NULL,
    error_code  bigint NOT NULL,
    since       bigint NOT NULL,
    granted     boolean NOT NULL,
    address     text NOT NULL,
    first_seen  bigint NOT NULL,
    last_seen   bigint NOT NULL,
    PRIMARY KEY (app, id)
) WITH (fillfactor = 80);

CREATE TABLE pin (
    app       text COLLATE "C" NOT NULL,
    machine   text COLLATE "C" NOT NULL,
    version   text NOT NULL,
    downgrade boolean NOT NULL,
    by        text NOT NULL,
    at        bigint NOT NULL,
    PRIMARY KEY (app, machine)
);

CREATE TABLE bar (
    app         text COLLATE "C" NOT NULL,
    machine     text COLLATE "C" NOT NULL,
    arch        text NOT NULL,
    version     text COLLATE "C" NOT NULL,
    fleet_group text NOT NULL,
    state       text NOT NULL,
    reason      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (app, machine, version)
);

CREATE TABLE halt (
    app     text COLLATE "C" NOT NULL REFERENCES app (id),
    arch    text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    reason  text NOT NULL,
    by      text NOT NULL,
    at      bigint NOT NULL,
    PRIMARY KEY (app, arch, version)
);

CREATE TABLE token (
    id      text COLLATE "C" PRIMARY KEY,
    name    text NOT NULL,
    role    text NOT NULL,
    sha256  text NOT NULL,
    created bigint NOT NULL,
    expires bigint NOT NULL
);

CREATE TABLE event (
    number     bigint GENERATED ALWAYS AS IDENTITY,
    app        text COLLATE "C" NOT NULL,
    machine    text COLLATE "C" NOT NULL,
    at         bigint NOT NULL,
    type       bigint NOT NULL,
    result     bigint NOT NULL,
    error_code bigint NOT NULL,
    version    text NOT NULL,
    previous   text NOT NULL,
    target     text NOT NULL,
    state      text NOT NULL
);
CREATE INDEX event_of_machine ON event (app, machine, number);
CREATE INDEX event_of_app ON event (app, number);
CREATE INDEX event_at ON event USING brin (at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE activity (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     bigint NOT NULL,
    who    text NOT NULL,
    app    text NOT NULL,
    text   text NOT NULL
);
CREATE INDEX activity_at ON activity (at);

CREATE TABLE sample (
    app         text COLLATE "C" NOT NULL,
    fleet_group text COLLATE "C" NOT NULL,
    step        bigint NOT NULL, -- milliseconds
    at          bigint NOT NULL,
    states      text NOT NULL,
    versions    text NOT NULL,
    PRIMARY KEY (app, fleet_group, step, at)
);
CREATE INDEX sample_at ON sample (step, at);

-- The ledger has a row for each group that has given places: the serial number and the time of the last one, and how many are held.
-- Whoever gives or ends places locks it first. No two places of a group have one serial number, and a higher one is never older:
-- how many were begun in a period is a difference of two numbers.
CREATE TABLE ledger (
    app         text COLLATE "C" NOT NULL,
    fleet_group text COLLATE "C" NOT NULL,
    serial      bigint NOT NULL,
    open        bigint NOT NULL,
    last        bigint NOT NULL,
    PRIMARY KEY (app, fleet_group)
) WITH (fillfactor = 50);

CREATE TABLE place (
    app         text COLLATE "C" NOT NULL,
    fleet_group text COLLATE "C" NOT NULL,
    serial      bigint NOT NULL,
    machine     text COLLATE "C" NOT NULL,
    version     text NOT NULL,
    begun       bigint NOT NULL,
    ended       bigint NOT NULL, -- 0 while it is held
    PRIMARY KEY (app, fleet_group, serial)
);
CREATE INDEX place_begun ON place (app, fleet_group, begun, serial);
CREATE INDEX place_age ON place USING brin (begun) WITH (pages_per_range = 32, autosummarize = on);
CREATE UNIQUE INDEX place_held ON place (app, machine) WHERE ended = 0;

-- The feed tells other replicas what one of them changed. Numbers have no gaps and are in the order of the commits.
CREATE TABLE feed (
    number  bigint PRIMARY KEY,
    replica text NOT NULL,
    at      bigint NOT NULL,
    body    bytea NOT NULL
);
ALTER TABLE feed ALTER COLUMN body SET STORAGE EXTERNAL; -- it is compressed already
CREATE INDEX feed_at ON feed (at);

-- +goose Down
DROP TABLE feed;
DROP TABLE place;
DROP TABLE ledger;
DROP TABLE sample;
DROP TABLE activity;
DROP TABLE event;
DROP TABLE token;
DROP TABLE halt;
DROP TABLE bar;
DROP TABLE pin;
DROP TABLE machine;
DROP TABLE rollout;
DROP TABLE fleet_group;
DROP TABLE channel_release;
DROP TABLE channel;
DROP TABLE release;
DROP TABLE app;
