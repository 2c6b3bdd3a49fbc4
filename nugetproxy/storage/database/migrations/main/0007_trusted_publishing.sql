-- Which builds may exchange a token for a key. conditions and pinned are JSON objects of texts; globs are separated by
-- line breaks. Times are microseconds since 1970.
CREATE TABLE publishing_policies (
    policy_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    lower_name TEXT NOT NULL UNIQUE,
    owner_id INTEGER NOT NULL REFERENCES accounts,
    creator_id INTEGER REFERENCES accounts,
    platform TEXT NOT NULL,
    issuer TEXT NOT NULL,
    conditions TEXT NOT NULL,
    pinned TEXT NOT NULL,
    globs TEXT NOT NULL,
    created INTEGER NOT NULL,
    last_used INTEGER
) STRICT
--;
-- Tokens that were used: the SHA-256 of their issuer and identifier. A row stays until neither the token nor its key works.
CREATE TABLE publishing_tokens (
    digest BLOB PRIMARY KEY NOT NULL,
    policy_id INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID
--;
CREATE INDEX publishing_tokens_by_policy ON publishing_tokens (policy_id)
--;
CREATE INDEX publishing_tokens_by_end ON publishing_tokens (until)
