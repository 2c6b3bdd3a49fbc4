-- What the mirror keeps: one row for each package file, written after the file's commit. The files are the truth; this
-- ledger answers what a walk over a million of them could not: search, totals, and (later) what was used last.
CREATE TABLE mirrored_packages (
    upstream TEXT NOT NULL,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    package_id TEXT NOT NULL,
    words TEXT NOT NULL,
    package_types TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_hash TEXT NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (upstream, lower_id, lower_version)
) STRICT, WITHOUT ROWID
--;
CREATE TABLE mirrored_totals (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    packages INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT
--;
INSERT INTO mirrored_totals VALUES (1, 0, 0)
--;
CREATE TRIGGER mirrored_packages_added AFTER INSERT ON mirrored_packages BEGIN
    UPDATE mirrored_totals SET packages = packages + 1, bytes = bytes + new.size;
END
--;
CREATE TRIGGER mirrored_packages_removed AFTER DELETE ON mirrored_packages BEGIN
    UPDATE mirrored_totals SET packages = packages - 1, bytes = bytes - old.size;
END
--;
CREATE TRIGGER mirrored_packages_changed AFTER UPDATE OF size ON mirrored_packages BEGIN
    UPDATE mirrored_totals SET bytes = bytes - old.size + new.size;
END
