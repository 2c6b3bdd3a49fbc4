-- How far the catalog of each upstream was followed. Events are counted in ticks of 100 nanoseconds since 1970.
CREATE TABLE followed_catalogs (
    upstream TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    cursor INTEGER NOT NULL,       -- every event up to here was applied, and has settled
    newest INTEGER NOT NULL,       -- the newest event that was applied; 0: none
    newest_commit TEXT NOT NULL,
    polled REAL                    -- when the last poll that read the catalog to its end began, in unix seconds
) STRICT, WITHOUT ROWID
