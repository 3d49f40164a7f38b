-- Money of provider accounts by the day: what a day's calls cost never exceeds the account's cap.
-- Conventions: migrations/README.md.

-- Spending: one row for an account with a cap and a day of UTC on which it was called.
CREATE TABLE spending (
    account TEXT NOT NULL, -- the provider's name in assay.toml
    day BIGINT NOT NULL, -- days since 1970-01-01, in UTC
    least_cap_nano BIGINT NOT NULL, -- the least that the files of those who called said it may cost
    most_cap_nano BIGINT NOT NULL, -- the most
    cost_nano BIGINT NOT NULL, -- what the calls cost whose cost is known
    reserved_nano BIGINT NOT NULL, -- what is set aside for the others: the sum of the reservations of that day
    short_nano BIGINT, -- what a call needed and the cap had not left; NULL: nothing is wanting
    short_at BIGINT, -- since when; NULL: nothing is wanting
    PRIMARY KEY (account, day)
);

-- Caps that somebody has set in place of what files say.
CREATE TABLE caps (
    account TEXT NOT NULL PRIMARY KEY, -- the provider's name in assay.toml
    cap_nano BIGINT NOT NULL, -- the most that a day's calls may cost
    set_at BIGINT NOT NULL, -- when
    set_by TEXT NOT NULL, -- who
    reason TEXT NOT NULL -- why
);

ALTER TABLE reservations ADD COLUMN account TEXT; -- spending.account that it counts against; NULL: against its run alone
ALTER TABLE reservations ADD COLUMN day BIGINT; -- spending.day
