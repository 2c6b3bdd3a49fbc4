-- lowest: 5
-- Files that no row refers to, and since when that is known (microseconds since 1970). They are kept for a while: a
-- database restored from an old backup, or one that lost its last commits, does not know files that are needed.
CREATE TABLE unclaimed_blobs (
    blob TEXT COLLATE "C" PRIMARY KEY,
    since BIGINT NOT NULL
);
