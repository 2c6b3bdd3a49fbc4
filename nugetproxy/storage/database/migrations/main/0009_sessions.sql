-- People who signed in with a browser: the SHA-256 of the secret in their cookie. Times are microseconds since 1970.
CREATE TABLE sessions (
    digest BLOB PRIMARY KEY NOT NULL,
    account_id INTEGER NOT NULL REFERENCES accounts,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID
--;
CREATE INDEX sessions_by_account ON sessions (account_id)
