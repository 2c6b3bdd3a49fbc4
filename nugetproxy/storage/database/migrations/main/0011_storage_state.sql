-- About this storage as a whole; see storage/database/holds.py. `name` is random. `copy_of` is the name of the storage of
-- which this is an unfinished copy. Until `held_until` (microseconds since 1970) no changes are accepted.
CREATE TABLE storage_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    name TEXT,
    copy_of TEXT,
    held_until INTEGER,
    held_because TEXT
) STRICT
--;
INSERT INTO storage_state VALUES (1, NULL, NULL, NULL, NULL)
