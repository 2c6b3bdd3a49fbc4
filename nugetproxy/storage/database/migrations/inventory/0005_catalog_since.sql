-- Where reading began. Rows of before begin again.
DELETE FROM followed_catalogs
--;
ALTER TABLE followed_catalogs ADD COLUMN since INTEGER NOT NULL DEFAULT 0
