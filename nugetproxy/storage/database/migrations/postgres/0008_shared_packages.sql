-- lowest: 6
-- Mirrored packages in the bucket: what one node fetched, for all others. `sha512` is that of the file, in base64; times are
-- seconds since 1970 by the database's clock. A row is there only after its object is.
CREATE TABLE shared_packages (
    upstream TEXT COLLATE "C" NOT NULL,
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    blob TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha512 TEXT COLLATE "C" NOT NULL,
    stored BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (upstream, lower_id, lower_version)
);
CREATE INDEX shared_packages_by_use ON shared_packages (used);
