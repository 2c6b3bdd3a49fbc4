-- Files that no row needs, and since when that is known (microseconds since 1970). They are kept for a while: a database that
-- was restored from an old or a wrong back-up knows nothing of files that the right one needs.
CREATE TABLE unclaimed_blobs (
    blob TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID
