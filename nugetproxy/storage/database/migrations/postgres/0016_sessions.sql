-- lowest: 9
-- People who signed in with a browser: the SHA-256 of the secret in their cookie. Times are microseconds since 1970.
CREATE TABLE sessions (
    digest BYTEA PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts,
    created BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    agent TEXT COLLATE "C" NOT NULL
);

CREATE INDEX sessions_by_account ON sessions (account_id);
