-- The condition of each kept file, apart from what the package says about itself: rows are short, so that reading all of
-- them and noting the last use of many is quick. Times in unix seconds; 0 is never.
CREATE TABLE mirrored_files (
    upstream TEXT NOT NULL,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,            -- of the file when it was committed, in nanoseconds; 0: unknown
    sha512 TEXT NOT NULL,                 -- of the file, base64; empty: unknown
    fetch_milliseconds INTEGER NOT NULL,  -- how long its download took; 0: unknown
    committed INTEGER NOT NULL,
    used INTEGER NOT NULL,
    verified INTEGER NOT NULL,
    is_gone INTEGER NOT NULL,             -- 1: the upstream no longer has it
    PRIMARY KEY (upstream, lower_id, lower_version)
) STRICT, WITHOUT ROWID
--;
INSERT INTO mirrored_files
SELECT upstream, lower_id, lower_version, size, 0, '', 0, committed, committed, 0, 0 FROM mirrored_packages
--;
CREATE TRIGGER mirrored_files_removed AFTER DELETE ON mirrored_packages BEGIN
    DELETE FROM mirrored_files
    WHERE upstream = old.upstream AND lower_id = old.lower_id AND lower_version = old.lower_version;
END
--;
-- Files that were found to be wrong, moved to quarantine/.
CREATE TABLE quarantined_files (
    file TEXT PRIMARY KEY,
    upstream TEXT NOT NULL,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    size INTEGER NOT NULL,
    why TEXT NOT NULL,
    found INTEGER NOT NULL
) STRICT
--;
-- What packages must be kept whatever the budget. An empty version is all versions of the id.
CREATE TABLE mirrored_pins (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version, name)
) STRICT
