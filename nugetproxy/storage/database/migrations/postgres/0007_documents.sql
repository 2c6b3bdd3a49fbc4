-- lowest: 6
-- Documents of upstreams, shared by the nodes. `document` is a stored response as storage/documents writes it; times are
-- seconds since 1970 by the database's clock, but for `fetched`, which only identifies a document together with its digest.
CREATE TABLE mirrored_documents (
    key TEXT COLLATE "C" PRIMARY KEY,
    url TEXT COLLATE "C" NOT NULL,
    document BYTEA NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    fetched DOUBLE PRECISION NOT NULL,
    confirmed DOUBLE PRECISION NOT NULL,
    expired BIGINT NOT NULL,
    size BIGINT NOT NULL,
    useful_until DOUBLE PRECISION
);
CREATE INDEX mirrored_documents_by_url ON mirrored_documents (left(url, 400));
CREATE INDEX mirrored_documents_by_confirmed ON mirrored_documents (confirmed);
CREATE INDEX mirrored_documents_by_use ON mirrored_documents (useful_until) WHERE useful_until IS NOT NULL;
