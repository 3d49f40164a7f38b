-- Poison: jobs that were running when their member died, again and again. Conventions: migrations/README.md.

CREATE INDEX jobs_suspected ON jobs (run_id, ordinal) WHERE crash_claims > 1;
