-- lowest: 9
-- What the nodes that share this database tell each other: which changes outdate what they remember, which of them
-- have confirmed that, and who holds which lease. See docs/decisions/0032-a-fleet-confirms-changes.md.
CREATE SEQUENCE fleet_revisions;

-- Only ever locked: whoever holds the lock draws the next revision, and keeps it until the commit is visible.
CREATE TABLE fleet_turn ();

-- nonce is random: after the loss of the last commits, revisions are used again.
CREATE TABLE fleet_changes (
    revision BIGINT PRIMARY KEY,
    nonce BIGINT NOT NULL,
    change TEXT COLLATE "C" NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp()
);

INSERT INTO fleet_changes (revision, nonce, change)
VALUES (0, 1 + floor(random() * 1000000000000000)::BIGINT, '');

-- A row for each time that a node entered. beat counts its confirmations; name is for people.
CREATE TABLE fleet_nodes (
    session BIGINT PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    confirmed BIGINT NOT NULL,
    beat BIGINT NOT NULL DEFAULT 0,
    is_waited_for BIGINT NOT NULL DEFAULT 1,
    seen TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp()
);

-- Tokens grow over all leases. Nothing is lost with the table: who held a lease then cannot commit under it.
CREATE SEQUENCE fleet_lease_tokens;

CREATE UNLOGGED TABLE fleet_leases (
    key TEXT COLLATE "C" PRIMARY KEY,
    token BIGINT NOT NULL,
    expires TIMESTAMPTZ NOT NULL
);
