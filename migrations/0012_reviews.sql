-- Reviews: what happened, for those who are told of it; what every run came to, added up once; risks and ranges.
-- Conventions: migrations/README.md.

-- Events: what somebody outside may want to know. Written in the transaction of what they tell of; never altered but for `planned`.
CREATE TABLE events (
    id TEXT NOT NULL PRIMARY KEY, -- made of what it tells of: the same is never told twice
    kind TEXT NOT NULL, -- verdict.fail, release.rollback, incident.opened, ...
    happened_at BIGINT NOT NULL, -- when
    summary TEXT NOT NULL, -- what happened, for a person
    data TEXT NOT NULL, -- the same for a program, as JSON
    planned BOOLEAN NOT NULL -- whether its deliveries were planned
);

CREATE INDEX events_unplanned ON events (happened_at) WHERE planned = FALSE;

-- Deliveries: the outbox. An event on its way to a webhook.
CREATE TABLE deliveries (
    event_id TEXT NOT NULL REFERENCES events (id), -- the event
    webhook TEXT NOT NULL, -- the webhook's name in assay.toml
    planned_at BIGINT NOT NULL, -- when it was planned, or asked for again
    attempts BIGINT NOT NULL, -- how often it was tried since
    not_before BIGINT NOT NULL, -- when it may be tried next
    delivered_at BIGINT, -- when it was taken; NULL: it was not
    given_up_at BIGINT, -- when it was tried for the last time; NULL: it was not given up
    problem TEXT, -- why it was not taken the last time
    PRIMARY KEY (event_id, webhook)
);

CREATE INDEX deliveries_due ON deliveries (webhook, not_before) WHERE delivered_at IS NULL AND given_up_at IS NULL;

-- What runs came to, added up once at each of their ends. Rows are added and never altered.
CREATE TABLE run_ends (
    run_id TEXT NOT NULL REFERENCES runs (id), -- the run
    ended_at BIGINT NOT NULL, -- the end (runs.finished_at) that it is of
    suite_name TEXT NOT NULL, -- the suite's name
    passed BIGINT NOT NULL, -- jobs that passed
    failed BIGINT NOT NULL, -- jobs that failed
    errored BIGINT NOT NULL, -- jobs that errored
    cancelled BIGINT NOT NULL, -- jobs that were never asked
    cost_nano BIGINT NOT NULL, -- what is known to have been spent on the run up to this end
    variants TEXT NOT NULL, -- pass rates of each prompt version and model, as a JSON list
    wavering TEXT NOT NULL, -- cases whose repeats disagreed most, as a JSON list
    PRIMARY KEY (run_id, ended_at)
);

CREATE INDEX run_ends_by_time ON run_ends (ended_at);

-- Of what was over before runs were added up, only this is known.
INSERT INTO run_ends (run_id, ended_at, suite_name, passed, failed, errored, cancelled, cost_nano, variants, wavering)
SELECT id, finished_at, suite_name, passed, failed, errored, cancelled, cost_nano, '[]', '[]'
FROM runs WHERE finished_at IS NOT NULL AND judged_end = finished_at;

CREATE INDEX releases_by_time ON releases (released_at);
CREATE INDEX verdicts_by_time ON verdicts (created_at);
CREATE INDEX incidents_by_time ON incidents (opened_at);

-- Risks that a team has taken: who answers for each, and until when.
CREATE TABLE risks (
    number BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3, ...
    title TEXT NOT NULL, -- what may go wrong
    prompt TEXT, -- prompts.name of the prompt it is of; NULL: of none
    owner TEXT NOT NULL, -- who answers for it
    deadline_at BIGINT NOT NULL, -- until when something is done about it
    added_at BIGINT NOT NULL, -- when it was written down
    added_by TEXT NOT NULL, -- by whom
    closed_at BIGINT, -- when it was closed; NULL: it is open
    closed_by TEXT, -- by whom
    outcome TEXT -- what was done about it
);

-- Ranges: what a team takes for acceptable. The latest of a signal and a subject that was not removed holds.
CREATE TABLE ranges (
    signal TEXT NOT NULL, -- regression_incidents, pass_rate or rollback_rate
    scope TEXT NOT NULL, -- all, owner or prompt
    subject TEXT NOT NULL, -- the owner or the prompt; empty for all
    set_at BIGINT NOT NULL, -- from when on it holds
    set_by TEXT NOT NULL, -- who set it
    low DOUBLE PRECISION, -- the least that is acceptable; NULL: there is no least
    high DOUBLE PRECISION, -- the most that is acceptable; NULL: there is no most
    window_us BIGINT NOT NULL, -- over how long up to now the signal is measured
    removed_at BIGINT, -- until when it held; NULL: it holds
    outside BOOLEAN, -- whether the signal was outside when last looked at; NULL: it could not be measured yet
    PRIMARY KEY (signal, scope, subject, set_at)
);
