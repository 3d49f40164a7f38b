-- The fleet: who leads it, which pools its runs need, and what its members offer.

-- The leadership of the fleet, one row: a write under an older epoch is refused.
CREATE TABLE leadership (
    scope TEXT NOT NULL PRIMARY KEY, -- fleet
    epoch BIGINT NOT NULL, -- raised by each new leader
    member TEXT NOT NULL, -- members.id of the leader of that epoch
    since BIGINT NOT NULL -- when it began
);

-- The pools that a run's jobs wait in: what workers look for, and the leader for workers.
CREATE TABLE run_pools (
    run_id TEXT NOT NULL REFERENCES runs (id), -- the run
    pool TEXT NOT NULL, -- jobs.pool
    provider TEXT NOT NULL, -- the account it belongs to, by its name in the configuration
    model TEXT NOT NULL, -- provider/model, for people
    PRIMARY KEY (run_id, pool)
);

ALTER TABLE members ADD COLUMN version TEXT; -- the assay it runs
ALTER TABLE members ADD COLUMN schema_version BIGINT; -- the version of this schema that it knows
ALTER TABLE members ADD COLUMN serves TEXT; -- pool -> hints it takes in advance, as JSON
ALTER TABLE members ADD COLUMN lacks TEXT; -- provider -> why this member cannot call it, as JSON
