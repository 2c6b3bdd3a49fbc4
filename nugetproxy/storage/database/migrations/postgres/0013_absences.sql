-- lowest: 9
-- What an upstream said that it lacks, and until when that is believed: seconds since 1970 by the database's clock.
CREATE TABLE shared_absences (
    what TEXT COLLATE "C" PRIMARY KEY,
    until DOUBLE PRECISION NOT NULL
);
