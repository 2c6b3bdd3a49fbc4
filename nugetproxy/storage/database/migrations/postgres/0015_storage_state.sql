-- lowest: 15
-- About this storage as a whole; see storage/database/holds.py. `name` is random. `copy_of` is the name of the storage of
-- which this is an unfinished copy. Until `held_until` (microseconds since 1970) no changes are accepted.
CREATE TABLE storage_state (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    name TEXT COLLATE "C",
    copy_of TEXT COLLATE "C",
    held_until BIGINT,
    held_because TEXT COLLATE "C"
);

INSERT INTO storage_state VALUES (1, NULL, NULL, NULL, NULL);

-- Called at the beginning of every write, in the same request.
CREATE FUNCTION require_no_hold() RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    because TEXT;
BEGIN
    SELECT held_because INTO because FROM storage_state
    WHERE held_until > extract(epoch FROM clock_timestamp()) * 1000000;
    IF FOUND THEN
        RAISE EXCEPTION '%', because USING ERRCODE = 'NPHLD';
    END IF;
END
$$;
