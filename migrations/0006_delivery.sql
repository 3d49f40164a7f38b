-- Delivery: budgets that are set aside for before they are spent, tries that are counted for a job and not for a claim,
-- reports that outlive the results they are made of, and which binaries may work on a newer schema.

ALTER TABLE runs ADD COLUMN reserved_nano BIGINT NOT NULL DEFAULT 0; -- the sum of its reservations
ALTER TABLE runs ADD COLUMN short_nano BIGINT; -- what a call needed and the budget had not left; NULL: nothing is wanting
ALTER TABLE runs ADD COLUMN pruned_at BIGINT; -- when its jobs, results and calls were removed; NULL: they are there

ALTER TABLE jobs ADD COLUMN ambiguous BIGINT NOT NULL DEFAULT 0; -- calls of this generation that may be billed and brought nothing
ALTER TABLE jobs ADD COLUMN malformed BIGINT NOT NULL DEFAULT 0; -- calls of this generation answered with what is no answer

-- Reservations: the most that a call of a run with a budget may cost, from before it is made until its cost is known. One
-- that stays when its run is over is of a call whose end nobody knows.
CREATE TABLE reservations (
    run_id TEXT NOT NULL, -- jobs.run_id
    ordinal BIGINT NOT NULL, -- jobs.ordinal
    generation BIGINT NOT NULL, -- jobs.generation
    attempt BIGINT NOT NULL, -- the claim it is made under
    seq BIGINT NOT NULL, -- calls.seq
    amount_nano BIGINT NOT NULL, -- the most it may cost
    PRIMARY KEY (run_id, ordinal, generation, attempt, seq)
);

-- Reports: what a run came to, kept when its results are removed.
CREATE TABLE reports (
    run_id TEXT NOT NULL PRIMARY KEY, -- runs.id
    content TEXT NOT NULL, -- the report as JSON
    kept_at BIGINT NOT NULL -- when
);

-- Runs that are over, for those who look for old ones.
CREATE INDEX runs_by_end ON runs (finished_at) WHERE pruned_at IS NULL;

-- Compatibility, one row: the oldest schema that a binary may know to work on this one. A migration that only adds leaves it,
-- one that takes away raises it.
CREATE TABLE compatibility (
    scope TEXT NOT NULL PRIMARY KEY, -- store
    oldest BIGINT NOT NULL -- a schema version
);

INSERT INTO compatibility (scope, oldest) VALUES ('store', 6);
