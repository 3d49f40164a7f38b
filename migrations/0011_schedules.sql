-- Schedules: sweeps of what is live, the baselines they are held against, and what came of them. Conventions: migrations/README.md.

CREATE TABLE schedules (
    name TEXT NOT NULL PRIMARY KEY, -- chosen by whoever added it
    suite TEXT NOT NULL, -- the suite as it was frozen, as JSON; of its prompts the names count, their versions are what is live
    dataset TEXT NOT NULL, -- datasets.digest of its cases: they stay as long as the schedule
    terms TEXT NOT NULL, -- SHA-256 of cases, models, scorers and threshold as JSON: results are compared only under equal ones
    channels TEXT NOT NULL, -- the channels that it sweeps, as a JSON list
    cron TEXT NOT NULL, -- when it is due, as a cron expression
    zone TEXT NOT NULL, -- the time zone of that, by its IANA name
    clean_sweeps BIGINT NOT NULL, -- after so many clean sweeps in a row an incident that it opened is resolved
    paused BOOLEAN NOT NULL, -- whether nothing is due
    due_from BIGINT NOT NULL, -- times before it are not caught up with: when it was added or last resumed
    created_at BIGINT NOT NULL, -- when it was added
    created_by TEXT NOT NULL -- by whom
);

-- Sweeps: a planned time of a schedule is fired once, whatever clocks and leaders do.
CREATE TABLE sweeps (
    schedule TEXT NOT NULL, -- schedules.name; the row outlives the schedule
    planned_at BIGINT NOT NULL, -- the time for which it was due; by hand: when it was asked for
    round BIGINT NOT NULL, -- 1; 2: what was suspicious in the first is asked again at once
    seq BIGINT NOT NULL, -- 1, 2, 3, ... in the order in which they were fired, whatever clocks said
    fired_at BIGINT NOT NULL, -- when its run was made
    fired_by TEXT NOT NULL, -- the schedule itself, or who asked for it by hand
    targets TEXT NOT NULL, -- what was live where at that moment, as JSON
    run_id TEXT REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED, -- its run, made after the row was taken; NULL: nothing was live
    judged_at BIGINT, -- when its run was over and looked at; NULL: not yet
    suspicious BOOLEAN NOT NULL, -- whether a second round is wanted
    PRIMARY KEY (schedule, planned_at, round)
);

CREATE UNIQUE INDEX sweeps_by_seq ON sweeps (schedule, seq);
CREATE INDEX sweeps_unjudged ON sweeps (schedule) WHERE judged_at IS NULL;

-- Looks: what a sweep came to for one version on one channel and model, against its baseline.
CREATE TABLE looks (
    schedule TEXT NOT NULL, -- sweeps.schedule
    seq BIGINT NOT NULL, -- sweeps.seq
    prompt TEXT NOT NULL, -- prompts.name
    channel TEXT NOT NULL, -- the channel it was live on
    model TEXT NOT NULL, -- the model's label in the suite
    digest TEXT NOT NULL, -- prompt_versions.digest of what was live
    round BIGINT NOT NULL, -- sweeps.round
    fired_at BIGINT NOT NULL, -- sweeps.fired_at
    baseline TEXT, -- runs.id of what it was held against; NULL: there was nothing yet
    frozen BOOLEAN NOT NULL, -- whether that is the baseline of five trials a case; else the run that it was promoted on
    cases BIGINT NOT NULL, -- units (cases, or clusters of them) with a result on both sides
    missing BIGINT NOT NULL, -- units of the baseline without a result
    difference DOUBLE PRECISION, -- mean pass rate minus that of the baseline; NULL: nothing to compare
    slack DOUBLE PRECISION, -- the loss that raises no alarm
    z DOUBLE PRECISION, -- the difference in standard errors
    evidence DOUBLE PRECISION, -- the detector's value after it; NULL: it did not look
    threshold DOUBLE PRECISION, -- the value at which it alarms
    detector TEXT, -- its state, as JSON
    outcome TEXT NOT NULL, -- clean, low, suspicious, worse or unknown
    PRIMARY KEY (schedule, seq, prompt, channel, model)
);

CREATE INDEX looks_by_channel ON looks (prompt, channel, schedule, seq);

-- Baselines: what versions came to when they went live, with at least five trials a case.
CREATE TABLE baselines (
    prompt TEXT NOT NULL, -- prompts.name
    digest TEXT NOT NULL, -- prompt_versions.digest
    terms TEXT NOT NULL, -- schedules.terms
    run_id TEXT NOT NULL REFERENCES runs (id) DEFERRABLE INITIALLY DEFERRED, -- its run, whose results stay
    asked_at BIGINT NOT NULL, -- when that was made
    PRIMARY KEY (prompt, digest, terms)
);

CREATE INDEX baselines_by_run ON baselines (run_id);

-- A regression found by a sweep is an incident of its own beside what people have opened.
DROP INDEX incidents_open;
CREATE UNIQUE INDEX incidents_open ON incidents (prompt, channel, digest, (kind = 'regression')) WHERE resolved_at IS NULL;
