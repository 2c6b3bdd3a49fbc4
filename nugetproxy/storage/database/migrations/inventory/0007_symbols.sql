-- The PDBs that the assemblies of kept packages name, one row for each, whether it is kept or not. They belong to their
-- package: counted with it, evicted with it. Times in unix seconds; 0 is never.
CREATE TABLE mirrored_symbols (
    upstream TEXT NOT NULL,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    lower_key TEXT NOT NULL,    -- as debuggers request it
    lower_name TEXT NOT NULL,
    checksums TEXT NOT NULL,    -- that the assembly states, as in the header SymbolChecksum
    size INTEGER NOT NULL,      -- of the file in bytes; 0: it is not kept
    modified INTEGER NOT NULL,  -- of the file, in nanoseconds
    sha512 TEXT NOT NULL,       -- of the file, base64
    absent INTEGER NOT NULL,    -- when the symbol server last said that it does not have it
    PRIMARY KEY (upstream, lower_id, lower_version, lower_key)
) STRICT, WITHOUT ROWID
--;
CREATE INDEX mirrored_symbols_by_key ON mirrored_symbols (lower_key, lower_name)
--;
-- As the paths of bundles.
CREATE INDEX mirrored_symbols_kept
ON mirrored_symbols (lower_name || '/', lower_key, upstream, lower_id, lower_version) WHERE size > 0
--;
-- Bytes of its PDBs that are kept.
ALTER TABLE mirrored_files ADD COLUMN symbols INTEGER NOT NULL DEFAULT 0
--;
-- 1: its assemblies were read.
ALTER TABLE mirrored_files ADD COLUMN symbols_known INTEGER NOT NULL DEFAULT 0
--;
CREATE INDEX mirrored_files_unread ON mirrored_files (symbols_known) WHERE symbols_known = 0
--;
CREATE TRIGGER mirrored_symbols_added AFTER INSERT ON mirrored_symbols WHEN new.size > 0 BEGIN
    UPDATE mirrored_totals SET bytes = bytes + new.size;
    UPDATE mirrored_files SET symbols = symbols + new.size
    WHERE upstream = new.upstream AND lower_id = new.lower_id AND lower_version = new.lower_version;
END
--;
CREATE TRIGGER mirrored_symbols_removed AFTER DELETE ON mirrored_symbols WHEN old.size > 0 BEGIN
    UPDATE mirrored_totals SET bytes = bytes - old.size;
    UPDATE mirrored_files SET symbols = symbols - old.size
    WHERE upstream = old.upstream AND lower_id = old.lower_id AND lower_version = old.lower_version;
END
--;
CREATE TRIGGER mirrored_symbols_changed AFTER UPDATE OF size ON mirrored_symbols BEGIN
    UPDATE mirrored_totals SET bytes = bytes - old.size + new.size;
    UPDATE mirrored_files SET symbols = symbols - old.size + new.size
    WHERE upstream = new.upstream AND lower_id = new.lower_id AND lower_version = new.lower_version;
END
--;
CREATE TRIGGER mirrored_packages_gone AFTER DELETE ON mirrored_packages BEGIN
    DELETE FROM mirrored_symbols
    WHERE upstream = old.upstream AND lower_id = old.lower_id AND lower_version = old.lower_version;
END
