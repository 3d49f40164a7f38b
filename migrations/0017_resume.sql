-- A pause of an account that somebody lifts is over for all who knew of it. Conventions: migrations/README.md.

ALTER TABLE provider_limits ADD COLUMN resumed BIGINT NOT NULL DEFAULT 0; -- how often somebody has lifted what held the account's calls back
