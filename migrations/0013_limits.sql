-- Limits of provider accounts, shared by all who work: what is known of each, and who may use how much of it until when.
-- Conventions: migrations/README.md.

-- Provider limits: one row for whatever limits belong to, an account or one model of it. Its row lock is held while anything
-- of it is granted.
CREATE TABLE provider_limits (
    scope TEXT NOT NULL PRIMARY KEY, -- the provider's name in assay.toml, or provider/model
    ledger_us BIGINT NOT NULL, -- the ledger's own clock, microseconds: goes on by what passes between renewals, never back
    seen_at BIGINT NOT NULL, -- what the store's clock showed when ledger_us was last moved
    paused_until BIGINT, -- nobody begins a call before; NULL: it was never paused
    dimensions TEXT NOT NULL -- what was set, learned and used of each limit, as a JSON object by dimension
);

-- Grants: so much of one limit for one member until a moment. Added with each renewal; an older one counts until its member
-- says that it goes by a later one, or until its time is over.
CREATE TABLE grants (
    scope TEXT NOT NULL, -- provider_limits.scope
    dimension TEXT NOT NULL, -- requests, tokens, input_tokens, output_tokens or in_flight
    member TEXT NOT NULL, -- members.id of whoever may use it
    seq BIGINT NOT NULL, -- counts the grants to this member
    amount BIGINT NOT NULL, -- how much: millionths a second, or calls at once
    until_us BIGINT NOT NULL, -- until when, by ledger_us
    want BIGINT NOT NULL, -- how much the member would have liked
    burst BIGINT NOT NULL, -- the most it uses in one moment
    used BIGINT NOT NULL, -- what it has used since it began; calls at once: what it holds
    configured BIGINT, -- what its assay.toml says the limit is, a minute or at once; NULL: nothing
    PRIMARY KEY (scope, dimension, member, seq)
);
