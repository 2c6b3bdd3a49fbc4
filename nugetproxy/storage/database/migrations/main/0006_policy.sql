-- Versions that somebody allowed although a rule of the policy withholds them. Times in unix microseconds.
CREATE TABLE policy_exceptions (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    until INTEGER NOT NULL,
    because TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) WITHOUT ROWID;
--;
-- When something was first seen here, as far as a rule needed it. An empty version stands for the id.
CREATE TABLE policy_seen (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) WITHOUT ROWID;
--;
-- What package files told (JSON), so that each is read once. `etag` identifies the bytes.
CREATE TABLE policy_files (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    etag TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) WITHOUT ROWID;
--;
-- Versions named by a lock file that was prewarmed.
CREATE TABLE policy_pins (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) WITHOUT ROWID;
