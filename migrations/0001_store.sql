-- The first schema: what is frozen, runs, jobs, results, the ledger of calls, members, accounts.
--
-- Units everywhere: *_at, not_before and since are microseconds since 1970-01-01T00:00:00Z; *_us are microseconds;
-- *_nano are nano-dollars (US dollars x 10^-9); scores are millionths.

-- Suite revisions: a suite with everything it refers to, by content.
CREATE TABLE suite_revisions (
    revision TEXT NOT NULL PRIMARY KEY, -- SHA-256 of content, 64 hex digits
    suite_name TEXT NOT NULL, -- the suite's name
    dataset TEXT NOT NULL, -- datasets.digest
    frozen_at BIGINT NOT NULL, -- when this store first froze it
    content TEXT NOT NULL -- the suite as JSON
);

-- Prompts: named lines of work.
CREATE TABLE prompts (
    name TEXT NOT NULL PRIMARY KEY, -- what suites call it
    owner TEXT, -- who answers for it, as last frozen
    created_at BIGINT NOT NULL -- when this store first froze a version of it
);

-- Prompt versions: the immutable contents of a prompt.
CREATE TABLE prompt_versions (
    prompt TEXT NOT NULL REFERENCES prompts (name), -- the prompt
    number BIGINT NOT NULL, -- 1, 2, 3, ... in the order in which this store first froze them
    digest TEXT NOT NULL, -- SHA-256 of the content: the version's identity in every store
    body TEXT NOT NULL, -- the content as JSON
    frozen_at BIGINT NOT NULL, -- when this store first froze it
    PRIMARY KEY (prompt, number),
    UNIQUE (prompt, digest)
);

-- Datasets whose cases are complete.
CREATE TABLE datasets (
    digest TEXT NOT NULL PRIMARY KEY, -- SHA-256 of all its cases in order
    cases BIGINT NOT NULL, -- how many
    clustered BOOLEAN NOT NULL, -- whether any case names a cluster
    sealed_at BIGINT NOT NULL -- when its last case was stored
);

-- Cases: rows of datasets. Stored before their dataset is sealed, so there is no foreign key.
CREATE TABLE cases (
    dataset TEXT NOT NULL, -- datasets.digest
    position BIGINT NOT NULL, -- its place in the dataset, from 0
    case_id TEXT NOT NULL, -- unique in the dataset
    cluster TEXT, -- cases that share a source share this; NULL: alone
    tags TEXT NOT NULL, -- tag name -> value, as JSON
    vars TEXT NOT NULL, -- what prompts and expectations refer to, as JSON
    PRIMARY KEY (dataset, position)
);

-- Files of recorded answers that are complete.
CREATE TABLE recordings (
    digest TEXT NOT NULL PRIMARY KEY, -- SHA-256 of the file
    lines BIGINT NOT NULL, -- how many answers it holds
    sealed_at BIGINT NOT NULL -- when its last line was stored
);

-- Recorded answers. The line that says most about a job answers it.
CREATE TABLE recording_lines (
    recording TEXT NOT NULL, -- recordings.digest
    case_id TEXT NOT NULL, -- the case answered
    prompt TEXT NOT NULL, -- the label of the prompt it holds for; empty: all prompts
    trial BIGINT NOT NULL, -- the trial it holds for, from 1; 0: all trials
    input_tokens BIGINT, -- tokens of the request, when it was recorded
    output_tokens BIGINT, -- tokens of the answer, when it was recorded
    latency_ms DOUBLE PRECISION, -- how long it took in milliseconds, when it was recorded
    output TEXT, -- the answer; NULL when it is in output_bytes
    output_bytes BYTEA, -- an answer that no TEXT can hold
    PRIMARY KEY (recording, case_id, prompt, trial)
);

-- Runs: executions of suite revisions.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY, -- UUID version 7: later runs sort after earlier ones
    revision TEXT NOT NULL REFERENCES suite_revisions (revision), -- what it executes
    suite_name TEXT NOT NULL, -- the suite's name
    state TEXT NOT NULL, -- running, paused, cancelling, completed or cancelled
    reason TEXT, -- why it was cancelled
    seed BYTEA NOT NULL, -- 32 bytes: what the order of its units is drawn from
    priority TEXT NOT NULL, -- interactive, normal or sweep
    budget_nano BIGINT, -- the most it may cost
    planned BIGINT NOT NULL, -- jobs of its product: cases x variants x trials
    cursor BIGINT NOT NULL, -- ordinals below it have been expanded into jobs
    expanded BOOLEAN NOT NULL, -- whether expansion has ended
    passed BIGINT NOT NULL, -- jobs that passed
    failed BIGINT NOT NULL, -- jobs that failed
    errored BIGINT NOT NULL, -- jobs that errored
    cancelled BIGINT NOT NULL, -- jobs that were expanded and never asked
    cost_nano BIGINT NOT NULL, -- what its calls are known to have cost
    created_at BIGINT NOT NULL, -- when it was submitted
    started_at BIGINT, -- when its first job was claimed
    cancelled_at BIGINT, -- when it was told to stop
    finished_at BIGINT, -- when it was completed or cancelled
    deadline_at BIGINT NOT NULL -- when it is given up
);

CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_by_revision ON runs (revision);

-- Members: processes that can hold claims.
CREATE TABLE members (
    id TEXT NOT NULL PRIMARY KEY, -- UUID version 7, drawn at start and never reused
    kind TEXT NOT NULL, -- what the process is
    host TEXT NOT NULL, -- where it runs
    pid BIGINT NOT NULL, -- its process there
    beat BIGINT NOT NULL, -- raised by the member every second: that it changes is all it says
    joined_at BIGINT NOT NULL -- when it joined
);

-- Jobs: one (case, variant, trial) each. State: pending -> running -> terminal; one that must wait is pending with
-- not_before. A terminal outcome never changes within its generation. The hottest table: its references are kept
-- by the program, not by foreign keys.
CREATE TABLE jobs (
    run_id TEXT NOT NULL, -- runs.id
    ordinal BIGINT NOT NULL, -- its place in the run's product, from 0
    generation BIGINT NOT NULL, -- 0 at first; a redrive starts the next
    position BIGINT NOT NULL, -- cases.position in the run's dataset
    variant BIGINT NOT NULL, -- index of its variant in the suite: by prompt, then by model
    trial BIGINT NOT NULL, -- from 1
    pool TEXT NOT NULL, -- the queue it waits in
    state TEXT NOT NULL, -- pending, running or terminal
    outcome TEXT, -- of a terminal job: passed, failed, errored or cancelled
    not_before BIGINT NOT NULL, -- the earliest moment of its next claim; 0: it was never given back
    member TEXT, -- of a running job: members.id
    attempt BIGINT NOT NULL, -- claims of this generation, the fencing token
    tries BIGINT NOT NULL, -- calls that count against its retries
    crash_claims BIGINT NOT NULL, -- claims that ended with the death of their member
    first_claimed_at BIGINT, -- when it was first claimed in this generation
    PRIMARY KEY (run_id, ordinal)
);

-- What may be dispatched, in order.
CREATE INDEX jobs_pending ON jobs (run_id, pool, ordinal, not_before) WHERE state = 'pending';
-- What was given back, and when it is due.
CREATE INDEX jobs_returned ON jobs (run_id, not_before, pool, ordinal) WHERE state = 'pending' AND not_before > 0;
-- What a member holds (in the few runs that are open), and whether a run still has something running.
CREATE INDEX jobs_running ON jobs (run_id, member) WHERE state = 'running';

-- Results: one for each job that was asked, the first that was committed in its generation.
CREATE TABLE results (
    run_id TEXT NOT NULL, -- runs.id
    ordinal BIGINT NOT NULL, -- jobs.ordinal
    generation BIGINT NOT NULL, -- jobs.generation
    attempt BIGINT NOT NULL, -- the claim it was done under
    variant BIGINT NOT NULL, -- index of its variant in the suite
    outcome TEXT NOT NULL, -- passed, failed or errored
    error_kind TEXT, -- of an errored one: refused, provider, malformed, no_recording, template, scorer, gave_up, poison
    error TEXT, -- why it errored, for a person
    score BIGINT, -- the weighted score in millionths; NULL for an error
    latency_us BIGINT, -- how long the scored call took; NULL when not measured
    input_tokens BIGINT, -- tokens of the scored call's request, as the provider counted
    output_tokens BIGINT, -- tokens of the scored call's answer, as the provider counted
    cost_nano BIGINT, -- what the scored call cost; NULL when unknown. All calls of a job: table calls
    finish_reason TEXT, -- why the model stopped, in the provider's word
    finished_at BIGINT NOT NULL, -- when the job was settled
    scores TEXT NOT NULL, -- each scorer's type, metric, weight, value, pass and reason, as JSON
    output TEXT, -- the full answer; NULL when there is none or it is in output_bytes
    output_bytes BYTEA, -- an answer that no TEXT can hold: invalid UTF-8, or with NUL
    PRIMARY KEY (run_id, ordinal, generation)
);

-- The ledger: every call to a provider that came to be known, also of claims whose result was not the first.
CREATE TABLE calls (
    run_id TEXT NOT NULL, -- runs.id
    ordinal BIGINT NOT NULL, -- jobs.ordinal
    generation BIGINT NOT NULL, -- jobs.generation
    attempt BIGINT NOT NULL, -- the claim it was made under
    seq BIGINT NOT NULL, -- its place among the calls of that claim, from 0
    member TEXT NOT NULL, -- who made it
    started_at BIGINT NOT NULL, -- when the request was sent
    duration_us BIGINT NOT NULL, -- how long it took
    class TEXT NOT NULL, -- how it was classed: answered, rate_limited, transient, ...
    status BIGINT, -- the HTTP status, where one came
    input_tokens BIGINT, -- tokens of the request, as the provider counted
    output_tokens BIGINT, -- tokens of the answer, as the provider counted
    cost_nano BIGINT, -- what it cost; NULL when the price or the usage is unknown
    billed BOOLEAN, -- surely billed, surely not; NULL when nobody knows
    recorded_at BIGINT NOT NULL, -- when it came to be known here
    PRIMARY KEY (run_id, ordinal, generation, attempt, seq)
);

-- Provider accounts that have a problem; one that works has no row.
CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY, -- the provider's name in the configuration
    kind TEXT NOT NULL, -- the problem's class
    detail TEXT NOT NULL, -- what the provider said
    since BIGINT NOT NULL, -- when it began
    reported_at BIGINT NOT NULL -- when it was last reported
);
