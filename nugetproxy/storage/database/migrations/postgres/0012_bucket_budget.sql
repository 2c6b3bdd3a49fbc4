-- lowest: 9
-- What keeps the mirrored packages of a fleet within the budget of its bucket. Times are as in shared_packages.
-- `gone` is when the upstream was found not to offer the version any more, 0 if it was not: what cannot be fetched
-- again stays.
ALTER TABLE shared_packages ADD COLUMN gone BIGINT NOT NULL DEFAULT 0;

-- Objects that no row refers to: not yet, or not any more. They are deleted after a while, because a node may still be
-- reading one. `since` is 0 for those that are being deleted.
CREATE TABLE shared_unclaimed (
    blob TEXT COLLATE "C" PRIMARY KEY,
    since BIGINT NOT NULL
);
CREATE INDEX shared_unclaimed_by_time ON shared_unclaimed (since);

-- Packages that stay whatever the budget. `lower_version` is empty for all versions of the id; `since` is in seconds
-- since 1970, by the clock of the machine where the pin was made.
CREATE TABLE mirrored_pins (
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (lower_id, lower_version, name)
);
