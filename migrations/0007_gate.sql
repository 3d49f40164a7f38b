-- Gates that look at a run while it goes on: stopped early, or given more cases and trials.

ALTER TABLE runs ADD COLUMN stopped_early BOOLEAN; -- whether the gate ended it before every job was asked; NULL: no

-- Attempts: what the gate said of a run each time that everything planned so far was in and more was added.
CREATE TABLE attempts (
    run_id TEXT NOT NULL REFERENCES runs (id), -- the run
    number BIGINT NOT NULL, -- 1, 2, 3, ...
    jobs BIGINT NOT NULL, -- jobs planned up to then
    cases BIGINT NOT NULL, -- cases among them
    trials BIGINT NOT NULL, -- trials of each case under each variant
    outcome TEXT NOT NULL, -- pass, fail or inconclusive
    judged_at BIGINT NOT NULL, -- when
    PRIMARY KEY (run_id, number)
);
