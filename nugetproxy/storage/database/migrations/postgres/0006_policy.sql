-- lowest: 6
-- Versions allowed by a person although a rule of the policy withholds them. Times are in microseconds since 1970.
CREATE TABLE policy_exceptions (
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    because TEXT COLLATE "C" NOT NULL,
    made_by TEXT COLLATE "C" NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
);

-- When something was first seen here, as far as a rule needed it. An empty version stands for the id.
CREATE TABLE policy_seen (
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
);

-- Facts read from package files (JSON), so that each file is read once. `etag` identifies the bytes.
CREATE TABLE policy_files (
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    etag TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
);

-- Versions named by a lock file that was prewarmed.
CREATE TABLE policy_pins (
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (lower_id, lower_version)
);
