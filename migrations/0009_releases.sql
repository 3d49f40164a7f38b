-- Releases: verdicts as rows, who made a version, which version is live where, and incidents. Conventions: migrations/README.md.

ALTER TABLE prompt_versions ADD COLUMN message TEXT; -- what its author says of it
ALTER TABLE prompt_versions ADD COLUMN author TEXT; -- who wrote it, as whoever froze it first said
ALTER TABLE prompt_versions ADD COLUMN source_commit TEXT; -- the commit it was frozen from; ends in -dirty where files had changed since

CREATE INDEX prompt_versions_by_digest ON prompt_versions (digest);

ALTER TABLE runs ADD COLUMN judged_end BIGINT; -- the end (finished_at) that its verdicts are of; NULL: it was never judged

-- What was over before verdicts were rows has none.
UPDATE runs SET judged_end = finished_at WHERE finished_at IS NOT NULL;

CREATE INDEX runs_unjudged ON runs (id) WHERE finished_at IS NOT NULL AND (judged_end IS NULL OR judged_end <> finished_at);

-- Verdicts: what the gate of a run said of a prompt version when the run had ended; one that is opened again and ends again has
-- others. Written once, never altered.
CREATE TABLE verdicts (
    run_id TEXT NOT NULL REFERENCES runs (id), -- the run it judges
    prompt TEXT NOT NULL, -- the candidate: prompts.name
    version TEXT NOT NULL, -- the candidate: prompt_versions.digest
    ended_at BIGINT NOT NULL, -- the end of the run that it is of
    baseline TEXT, -- digest of the version it was compared with; NULL: the run had no baseline
    suite_name TEXT NOT NULL, -- the suite's name
    revision TEXT NOT NULL, -- suite_revisions.revision
    gate TEXT NOT NULL, -- SHA-256 of the gate as JSON
    judge TEXT NOT NULL, -- SHA-256 of scorers, threshold and reducer as JSON
    absolute BOOLEAN NOT NULL, -- whether a rule that decides needs no baseline
    state TEXT NOT NULL, -- pass, fail or inconclusive
    evidence TEXT NOT NULL, -- every rule with what was observed, as JSON
    created_at BIGINT NOT NULL, -- when it was recorded
    expires_at BIGINT NOT NULL, -- from when on it carries no promotion
    PRIMARY KEY (run_id, prompt, version, ended_at)
);

CREATE INDEX verdicts_by_version ON verdicts (prompt, version, created_at);

-- Releases: the history of every channel. The row with the highest seq says what is live. Rows are added and never altered.
CREATE TABLE releases (
    prompt TEXT NOT NULL, -- prompts.name
    channel TEXT NOT NULL, -- production, staging, ...
    seq BIGINT NOT NULL, -- 1, 2, 3, ... on this channel of this prompt: two that move it at once want the same number
    kind TEXT NOT NULL, -- promotion, override, rollback or rehearsal
    number BIGINT NOT NULL, -- prompt_versions.number of what went live
    digest TEXT NOT NULL, -- prompt_versions.digest of it
    previous BIGINT, -- seq of the release that a rollback returns to; NULL: there is none
    released_at BIGINT NOT NULL, -- when; never before the row below it
    released_by TEXT NOT NULL, -- who
    origin TEXT NOT NULL, -- from where
    reason TEXT, -- why, where it was said
    verdict_run TEXT, -- verdicts.run_id of the evidence; NULL: overridden, rolled back or rehearsed
    PRIMARY KEY (prompt, channel, seq)
);

CREATE INDEX releases_by_channel ON releases (channel);
CREATE INDEX releases_by_digest ON releases (digest, channel);

-- Incidents: something is wrong with a version that was released.
CREATE TABLE incidents (
    number BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3, ...
    prompt TEXT NOT NULL, -- prompts.name
    channel TEXT NOT NULL, -- where it is or was live
    version BIGINT NOT NULL, -- prompt_versions.number of the version concerned
    digest TEXT NOT NULL, -- prompt_versions.digest of it
    kind TEXT NOT NULL, -- override or manual
    summary TEXT NOT NULL, -- what is wrong
    owner TEXT, -- who answers for it: the owner of the prompt when it was opened
    began_at BIGINT NOT NULL, -- when the version concerned went live
    opened_at BIGINT NOT NULL, -- when it was noticed
    opened_by TEXT NOT NULL, -- by whom
    acknowledged_at BIGINT, -- when somebody took it up
    recovered_at BIGINT, -- when a rollback took the version off the channel
    rollback BIGINT, -- releases.seq of that rollback
    resolved_at BIGINT, -- when it was closed; NULL: it is open
    cause TEXT -- what it came from, as last resolved
);

-- One incident of a version on a channel is open at a time.
CREATE UNIQUE INDEX incidents_open ON incidents (prompt, channel, digest) WHERE resolved_at IS NULL;

-- What happened to an incident. Rows are added and never altered.
CREATE TABLE incident_events (
    incident BIGINT NOT NULL REFERENCES incidents (number), -- the incident
    seq BIGINT NOT NULL, -- 1, 2, 3, ...
    happened_at BIGINT NOT NULL, -- when
    actor TEXT NOT NULL, -- who
    action TEXT NOT NULL, -- opened, noted, acknowledged, linked, resolved or reopened
    detail TEXT NOT NULL, -- what was said
    PRIMARY KEY (incident, seq)
);
