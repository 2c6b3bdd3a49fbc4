-- lowest: 4
-- The symbols of a hosted version, at most one package each; deleted with the version.
-- Times are in microseconds since 1970, sizes bytes, hashes base64.
CREATE TABLE symbol_packages (
    push BIGINT PRIMARY KEY REFERENCES hosted_packages (push) ON DELETE CASCADE,
    blob TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    sha512 TEXT COLLATE "C" NOT NULL,
    pushed BIGINT NOT NULL
);

-- Its PDBs. `lower_name` and `lower_key` are what debuggers look up; `checksums` are as in the header SymbolChecksum.
CREATE TABLE symbol_files (
    push BIGINT NOT NULL REFERENCES symbol_packages (push) ON DELETE CASCADE,
    path TEXT COLLATE "C" NOT NULL,
    lower_name TEXT COLLATE "C" NOT NULL,
    lower_key TEXT COLLATE "C" NOT NULL,
    checksums TEXT COLLATE "C" NOT NULL,
    blob TEXT COLLATE "C" NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    sha512 TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (push, path)
);

CREATE INDEX symbol_files_by_key ON symbol_files (lower_name, lower_key);
