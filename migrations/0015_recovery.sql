-- Evidence that what is live is not worse any more: an incident may end on it. Conventions: migrations/README.md.

ALTER TABLE looks ADD COLUMN recovery TEXT; -- that evidence since the last look that was worse, as JSON; NULL: none was
