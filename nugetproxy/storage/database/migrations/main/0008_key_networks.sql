-- Networks in CIDR notation that a key may be used from, separated by line breaks; empty for all.
ALTER TABLE api_keys ADD COLUMN networks TEXT NOT NULL DEFAULT ''
