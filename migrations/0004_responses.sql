-- Responses: answers that were paid for and are not settled yet. They are committed before they are scored, so that a
-- process which dies in between makes nobody pay again; the settlement of the job removes them.

CREATE TABLE responses (
    run_id TEXT NOT NULL, -- jobs.run_id
    ordinal BIGINT NOT NULL, -- jobs.ordinal
    generation BIGINT NOT NULL, -- jobs.generation
    content TEXT NOT NULL, -- the answer with the calls that led to it, as JSON
    PRIMARY KEY (run_id, ordinal, generation)
);
