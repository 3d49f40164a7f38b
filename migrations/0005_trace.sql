-- One trace for a run: whoever drives it, now or after a death, puts its spans into the trace of the submission.

ALTER TABLE runs ADD COLUMN traceparent TEXT; -- the span that submitted it, as a W3C traceparent; NULL: none was recorded
