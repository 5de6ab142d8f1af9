-- One schema for SQLite and PostgreSQL. Times are milliseconds since 1970 in
-- UTC, 0 for none; booleans are 0 or 1; "until" columns are by the database's
-- own clock, all other times by the bot's.

-- +goose Up

-- The store's identity, which the marks of its writes carry.
CREATE TABLE store (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT NOT NULL
);

-- What is known of each document. Every change of it increments seq first,
-- which makes changes of one document wait for each other.
CREATE TABLE document (
    document  TEXT NOT NULL PRIMARY KEY,
    seq       BIGINT NOT NULL,
    last_name TEXT NOT NULL,
    observed  BIGINT NOT NULL,
    unclear   TEXT NOT NULL
);

CREATE TABLE holding (
    id            TEXT NOT NULL PRIMARY KEY,
    document      TEXT NOT NULL REFERENCES document (document),
    name          TEXT NOT NULL,
    person        TEXT NOT NULL,
    purpose       TEXT NOT NULL,
    since         BIGINT NOT NULL,
    since_known   INTEGER NOT NULL,
    by_hand       INTEGER NOT NULL,
    ended         BIGINT NOT NULL,
    ended_by_hand INTEGER NOT NULL,
    summary       TEXT NOT NULL,
    consent       TEXT NOT NULL,
    next_reminder BIGINT NOT NULL,
    reminders     INTEGER NOT NULL
);
CREATE UNIQUE INDEX holding_lasting ON holding (document) WHERE ended = 0;

-- Commands, by Slack's envelope ID. An unfinished one has no outcome.
CREATE TABLE command (
    id           TEXT NOT NULL PRIMARY KEY,
    document     TEXT NOT NULL,
    kind         TEXT NOT NULL,
    person       TEXT NOT NULL,
    words        TEXT NOT NULL,
    holding      TEXT NOT NULL,
    channel      TEXT NOT NULL,
    response_url TEXT NOT NULL,
    message      TEXT NOT NULL,
    at           BIGINT NOT NULL,
    outcome      TEXT NOT NULL,
    finished     BIGINT NOT NULL,
    owner        TEXT NOT NULL,
    until        BIGINT NOT NULL
);
CREATE INDEX command_unfinished ON command (document, at) WHERE outcome = '';
CREATE INDEX command_finished ON command (finished) WHERE outcome <> '';
CREATE INDEX command_response_url ON command (at) WHERE response_url <> '';

-- The open intents, as JSON: at most one for each document.
CREATE TABLE intent (
    document  TEXT NOT NULL PRIMARY KEY REFERENCES document (document),
    operation TEXT NOT NULL,
    command   TEXT NOT NULL REFERENCES command (id),
    body      TEXT NOT NULL,
    epoch     BIGINT NOT NULL,
    owner     TEXT NOT NULL,
    until     BIGINT NOT NULL
);
CREATE UNIQUE INDEX intent_command ON intent (command);

-- The last number given out for each destination of the outbox.
CREATE TABLE destination (
    destination TEXT NOT NULL PRIMARY KEY,
    last_number BIGINT NOT NULL
);

-- Effects. One that is neither delivered nor given up has done = 0. The
-- columns from command to thread repeat what notice says, to be looked up.
CREATE TABLE outbox (
    effect      TEXT NOT NULL PRIMARY KEY,
    document    TEXT NOT NULL,
    destination TEXT NOT NULL,
    number      BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    command     TEXT NOT NULL,
    holding     TEXT NOT NULL,
    edits       TEXT NOT NULL,
    thread      TEXT NOT NULL,
    notice      TEXT NOT NULL,
    inserted    BIGINT NOT NULL,
    not_before  BIGINT NOT NULL,
    due         BIGINT NOT NULL,
    attempts    INTEGER NOT NULL,
    claim       BIGINT NOT NULL,
    reason      TEXT NOT NULL,
    done        BIGINT NOT NULL,
    given_up    INTEGER NOT NULL,
    channel     TEXT NOT NULL,
    message     TEXT NOT NULL
);
CREATE UNIQUE INDEX outbox_number ON outbox (destination, number);
CREATE INDEX outbox_waiting ON outbox (destination, number) WHERE done = 0;
CREATE INDEX outbox_done ON outbox (done) WHERE done <> 0;

CREATE TABLE lease (
    name  TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    until BIGINT NOT NULL
);

-- The decisions, kept for good, in the order of the document's seq.
CREATE TABLE audit (
    document TEXT NOT NULL,
    seq      BIGINT NOT NULL,
    part     INTEGER NOT NULL,
    at       BIGINT NOT NULL,
    event    TEXT NOT NULL,
    command  TEXT NOT NULL,
    holding  TEXT NOT NULL,
    person   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    PRIMARY KEY (document, seq, part)
);

-- +goose Down

DROP TABLE audit;
DROP TABLE lease;
DROP TABLE outbox;
DROP TABLE destination;
DROP TABLE intent;
DROP TABLE command;
DROP TABLE holding;
DROP TABLE document;
DROP TABLE store;
