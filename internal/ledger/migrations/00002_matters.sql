-- What people have going beside the token itself: the waitlist, offers,
-- deployments and their questions, watches, preferences.

-- +goose Up

-- Matters, each whole as JSON. One that is not over has ended = 0.
CREATE TABLE matter (
    document TEXT NOT NULL REFERENCES document (document),
    kind     TEXT NOT NULL,
    id       TEXT NOT NULL,
    body     TEXT NOT NULL,
    ended    BIGINT NOT NULL,
    PRIMARY KEY (document, kind, id)
);
CREATE INDEX matter_open ON matter (document) WHERE ended = 0;
CREATE INDEX matter_ended ON matter (ended) WHERE ended <> 0;

-- Until when what the command asks for is to last is "lasts", as it is by the
-- bot's clock.
ALTER TABLE command ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE command ADD COLUMN lasts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE command ADD COLUMN ephemeral INTEGER NOT NULL DEFAULT 0;

ALTER TABLE holding ADD COLUMN ended_by TEXT NOT NULL DEFAULT '';

-- These repeat what notice says, too.
ALTER TABLE outbox ADD COLUMN matter_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN matter TEXT NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE outbox DROP COLUMN matter;
ALTER TABLE outbox DROP COLUMN matter_kind;
ALTER TABLE holding DROP COLUMN ended_by;
ALTER TABLE command DROP COLUMN ephemeral;
ALTER TABLE command DROP COLUMN lasts;
ALTER TABLE command DROP COLUMN subject;
DROP TABLE matter;
