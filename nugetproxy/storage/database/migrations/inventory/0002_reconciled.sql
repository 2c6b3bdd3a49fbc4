-- One row once every file of the tree was entered. A walk over a million files takes minutes, and a restart meanwhile must
-- not leave a ledger that knows some of them for ever.
CREATE TABLE reconciled (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1)
) STRICT
