-- An incident ends once sweeps have ruled out that what is live is still worse. Conventions: migrations/README.md.

ALTER TABLE looks ADD COLUMN recovery TEXT; -- the evidence for that since the last look that was worse, as JSON; NULL: none was
