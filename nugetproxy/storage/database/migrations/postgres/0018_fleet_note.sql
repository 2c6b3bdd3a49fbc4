-- lowest: 9
-- Adds an entry to the log of changes, in one round trip. The lock is held until the end of the transaction: revisions are
-- drawn under it, so that they have the order in which the changes become visible.
CREATE FUNCTION fleet_note(its_nonce BIGINT, its_change TEXT, its_channel TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    its_revision BIGINT;
BEGIN
    LOCK TABLE fleet_turn IN EXCLUSIVE MODE;
    INSERT INTO fleet_changes (revision, nonce, change) VALUES (nextval('fleet_revisions'), its_nonce, its_change)
    RETURNING revision INTO its_revision;
    PERFORM pg_notify(its_channel, '');
    RETURN its_revision;
END
$$;
