-- An incident is known by what opened it: what a person reports is not lost in one that an override opened. Conventions: migrations/README.md.

DROP INDEX incidents_open;

-- One is open at a time of a version on a channel by each kind, and of sweeps by each schedule: another suite sees something else.
CREATE UNIQUE INDEX incidents_open
ON incidents (prompt, channel, digest, kind, (CASE WHEN kind = 'regression' THEN opened_by ELSE '' END))
WHERE resolved_at IS NULL;
