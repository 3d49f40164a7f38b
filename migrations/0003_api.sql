-- What the API needs: who may ask, what was asked, and which submission made which run. Conventions: migrations/README.md.

-- Tokens: who may use the API. The token itself is shown once and kept nowhere.
CREATE TABLE tokens (
    name TEXT NOT NULL PRIMARY KEY, -- who holds it; never given again
    hash TEXT NOT NULL UNIQUE, -- SHA-256 of the token
    scopes TEXT NOT NULL, -- what it allows: a JSON list of read, submit
    created_at BIGINT NOT NULL, -- when it was made
    expires_at BIGINT, -- from when on it is refused; NULL: never
    revoked_at BIGINT -- when it was revoked; NULL: it was not
);

-- The audit: what was changed, or tried, by whom. Rows are added and never altered.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY, -- UUID version 7: later rows sort after earlier ones
    happened_at BIGINT NOT NULL, -- when
    actor TEXT NOT NULL, -- who: the name of a token, or how it came without one
    action TEXT NOT NULL, -- what, such as run.cancel
    subject TEXT NOT NULL, -- to what: a run, a digest, a token's name, a path
    detail TEXT NOT NULL -- whatever else is to be known, as JSON
);

CREATE INDEX audit_by_subject ON audit (subject, action, id);

-- Submissions: a key that was used makes no second run. Written with the run, in one transaction.
CREATE TABLE submissions (
    idempotency_key TEXT NOT NULL PRIMARY KEY, -- chosen by the submitter
    revision TEXT NOT NULL, -- suite_revisions.revision: the same key with another is a conflict
    run_id TEXT NOT NULL, -- runs.id: the run it made
    submitted_at BIGINT NOT NULL -- when
);
