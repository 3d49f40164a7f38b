-- Quarantine: cases known to waver, whose part in a verdict is shown beside it. Conventions: migrations/README.md.

CREATE TABLE quarantine (
    suite_name TEXT NOT NULL, -- runs.suite_name
    case_id TEXT NOT NULL, -- cases.case_id
    model TEXT NOT NULL, -- the model, as tables name it
    added_at BIGINT NOT NULL, -- runs created from then on look at it
    expires_at BIGINT NOT NULL, -- runs created from then on do not
    removed_at BIGINT, -- when it was taken out before its time; NULL: it was not
    owner TEXT NOT NULL, -- who sees to it that the case stops wavering
    reason TEXT NOT NULL, -- why, for a person
    trials BIGINT NOT NULL, -- the evidence: repeats under the baseline when it was added
    passed BIGINT NOT NULL, -- how many of them passed
    PRIMARY KEY (suite_name, case_id, model, added_at)
);
