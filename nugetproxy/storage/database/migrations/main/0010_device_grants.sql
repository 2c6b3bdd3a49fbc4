-- Programs that wait until a person allows them a key: the SHA-256 of the program's secret, and the code that it shows.
-- account_id is who allowed it. Times are microseconds since 1970.
CREATE TABLE device_grants (
    digest BLOB PRIMARY KEY NOT NULL,
    user_code TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    address TEXT NOT NULL,
    created INTEGER NOT NULL,
    account_id INTEGER REFERENCES accounts
) STRICT, WITHOUT ROWID
