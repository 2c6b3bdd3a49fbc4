-- What was pushed, for ever: an event of long ago still tells everything about the version it is about.
-- `entries` is zlib-compressed JSON. Times here are microseconds since 1970.
CREATE TABLE hosted_pushes (
    push INTEGER PRIMARY KEY,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    package_id TEXT NOT NULL,
    version TEXT NOT NULL,
    manifest TEXT NOT NULL,
    entries BLOB NOT NULL,
    size INTEGER NOT NULL,
    sha512 TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    blob TEXT NOT NULL UNIQUE,
    pushed INTEGER NOT NULL
) STRICT
--;
-- What is hosted now. The primary key is what decides between two pushes of one version.
CREATE TABLE hosted_packages (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    push INTEGER NOT NULL UNIQUE REFERENCES hosted_pushes,
    listed INTEGER NOT NULL CHECK (listed IN (0, 1)),
    published INTEGER NOT NULL,
    last_edited INTEGER NOT NULL,
    deprecation TEXT,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) STRICT, WITHOUT ROWID
--;
-- Versions that were deleted for good: nobody may give the name to other bytes.
CREATE TABLE burnt_versions (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    burnt INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) STRICT, WITHOUT ROWID
--;
-- The log behind the catalog. `sequence` has no gaps, `stamp` (ticks of 100 ns since 1970) strictly grows.
CREATE TABLE hosted_events (
    sequence INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL UNIQUE,
    commit_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('details', 'delete')),
    lower_id TEXT NOT NULL,
    push INTEGER NOT NULL REFERENCES hosted_pushes,
    listed INTEGER NOT NULL,
    published INTEGER NOT NULL,
    last_edited INTEGER NOT NULL,
    deprecation TEXT
) STRICT
--;
CREATE INDEX hosted_events_by_id ON hosted_events (lower_id, sequence)
--;
-- When things last happened, so that the catalog's index needs no look at the whole log. Microseconds.
CREATE TABLE hosted_times (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    created INTEGER,
    deleted INTEGER,
    edited INTEGER
) STRICT
--;
INSERT INTO hosted_times VALUES (1, NULL, NULL, NULL)
--;
CREATE TRIGGER hosted_events_are_for_ever BEFORE UPDATE ON hosted_events BEGIN
    SELECT raise(ABORT, 'an event never changes');
END
--;
CREATE TRIGGER hosted_events_stay BEFORE DELETE ON hosted_events BEGIN
    SELECT raise(ABORT, 'an event never goes');
END
--;
CREATE TRIGGER hosted_pushes_are_for_ever BEFORE UPDATE ON hosted_pushes BEGIN
    SELECT raise(ABORT, 'a push never changes');
END
--;
CREATE TRIGGER hosted_pushes_stay BEFORE DELETE ON hosted_pushes BEGIN
    SELECT raise(ABORT, 'a push never goes');
END
--;
-- Downloads of each version, added up in batches.
CREATE TABLE hosted_downloads (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    downloads INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) STRICT, WITHOUT ROWID
