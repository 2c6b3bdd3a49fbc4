-- Who there is and who may do what. All times are unix microseconds. No secret is kept in clear: of a password its
-- Argon2 hash, of an API key the SHA-256 of its text (160 random bits and more: there is nothing to guess).
-- Accounts are disabled and never deleted: the audit log and the owners of packages speak of them.
CREATE TABLE accounts (
    account_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    lower_name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'organization')),
    password_hash TEXT,
    is_administrator INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER,
    created INTEGER NOT NULL
) STRICT
--;
CREATE TABLE members (
    organization_id INTEGER NOT NULL REFERENCES accounts,
    user_id INTEGER NOT NULL REFERENCES accounts,
    role TEXT NOT NULL CHECK (role IN ('administrator', 'collaborator')),
    added INTEGER NOT NULL,
    PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID
--;
CREATE INDEX members_by_user ON members (user_id)
--;
-- scopes are separated by spaces, globs by line breaks; creator_id is empty for a key made on the command line.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    owner_id INTEGER NOT NULL REFERENCES accounts,
    creator_id INTEGER REFERENCES accounts,
    scopes TEXT NOT NULL,
    globs TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    last_used INTEGER,
    revoked INTEGER,
    replaced_by TEXT REFERENCES api_keys
) STRICT
--;
CREATE INDEX api_keys_by_owner ON api_keys (owner_id, name)
--;
CREATE TABLE package_owners (
    lower_id TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES accounts,
    added INTEGER NOT NULL,
    PRIMARY KEY (lower_id, account_id)
) STRICT, WITHOUT ROWID
--;
CREATE INDEX package_owners_by_account ON package_owners (account_id)
--;
-- pattern is 'Contoso.*' or the exact id 'Contoso.Core'.
CREATE TABLE reservations (
    lower_pattern TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    is_exact INTEGER NOT NULL,
    is_shared INTEGER NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID
--;
CREATE TABLE reservation_owners (
    lower_pattern TEXT NOT NULL REFERENCES reservations ON DELETE CASCADE,
    account_id INTEGER NOT NULL REFERENCES accounts,
    PRIMARY KEY (lower_pattern, account_id)
) STRICT, WITHOUT ROWID
--;
CREATE TABLE audit_log (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    address TEXT NOT NULL,
    result TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT
--;
CREATE TRIGGER audit_log_is_not_changed BEFORE UPDATE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END
--;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END
--;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE number = new.number) BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END
