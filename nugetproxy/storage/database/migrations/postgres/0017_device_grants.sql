-- lowest: 9
-- Programs that wait until a person allows them a key: the SHA-256 of the program's secret, and the code that it shows.
-- account_id is who allowed it. Times are microseconds since 1970.
CREATE TABLE device_grants (
    digest BYTEA PRIMARY KEY,
    user_code TEXT COLLATE "C" NOT NULL UNIQUE,
    label TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    created BIGINT NOT NULL,
    account_id BIGINT REFERENCES accounts
);
