-- What members have of limits, as one row for each member, written over with each renewal: rows that come and go with each of them cost
-- the store more than all the rest. Conventions: migrations/README.md.

-- Leases: what a member has of the limits of one scope. Read and written under the lock of its row of provider_limits.
CREATE TABLE leases (
    scope TEXT NOT NULL, -- provider_limits.scope
    member TEXT NOT NULL, -- members.id of whoever may use it
    parts TEXT NOT NULL, -- of each limit its grants that count, and what the member last said of itself, as a JSON object by dimension
    PRIMARY KEY (scope, member)
);

DROP TABLE grants;

-- A binary that looks for leases elsewhere would grant them a second time.
UPDATE compatibility SET oldest = 16 WHERE scope = 'store';
