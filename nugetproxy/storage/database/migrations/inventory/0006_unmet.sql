-- What clients requested and did not get, because it is not kept and no upstream could be asked. Times in unix seconds.
CREATE TABLE unmet_requests (
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,  -- empty: only the id was requested
    package_id TEXT NOT NULL,     -- as the client spelled it
    version TEXT NOT NULL,
    times INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
) STRICT, WITHOUT ROWID
