-- The symbols of a hosted version, at most one package of them; they go when what was pushed goes.
-- Times are microseconds since 1970, sizes bytes, hashes base64.
CREATE TABLE symbol_packages (
    push INTEGER PRIMARY KEY REFERENCES hosted_packages (push) ON DELETE CASCADE,
    blob TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha512 TEXT NOT NULL,
    pushed INTEGER NOT NULL
) STRICT
--;
-- Its PDBs. `lower_name` and `lower_key` are what debuggers ask by; `checksums` are as in the header SymbolChecksum.
CREATE TABLE symbol_files (
    push INTEGER NOT NULL REFERENCES symbol_packages (push) ON DELETE CASCADE,
    path TEXT NOT NULL,
    lower_name TEXT NOT NULL,
    lower_key TEXT NOT NULL,
    checksums TEXT NOT NULL,
    blob TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    sha512 TEXT NOT NULL,
    PRIMARY KEY (push, path)
) STRICT, WITHOUT ROWID
--;
CREATE INDEX symbol_files_by_key ON symbol_files (lower_name, lower_key)
