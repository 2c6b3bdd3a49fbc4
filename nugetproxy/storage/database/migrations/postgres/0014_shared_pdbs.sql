-- lowest: 9
-- PDBs of mirrored packages in the bucket, from the symbol server of the upstream. A PDB belongs to the package that it was
-- fetched for, and goes with it; other packages may name the same one. `sha512` is that of the file, in base64.
CREATE TABLE shared_pdbs (
    upstream TEXT COLLATE "C" NOT NULL,
    lower_name TEXT COLLATE "C" NOT NULL,
    lower_key TEXT COLLATE "C" NOT NULL,
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    blob TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha512 TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (upstream, lower_name, lower_key)
);
CREATE INDEX shared_pdbs_by_package ON shared_pdbs (upstream, lower_id, lower_version);
