-- lowest: 3
-- What search stores about hosted packages. All of it follows from the other tables and can be rebuilt.
-- The rules that the rows follow, and how far rebuilding them has come: a lower id, or NULL when it is complete.
CREATE TABLE search_state (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    rules BIGINT NOT NULL,
    reached TEXT COLLATE "C"
);

INSERT INTO search_state VALUES (1, 0, '');

-- The listed versions. `precedence` sorts as versions do; `version` is as it is shown. `needs` is what a client must
-- ask for to see it: 1 prereleases, 2 SemVer 2.
CREATE TABLE search_versions (
    lower_id TEXT COLLATE "C" NOT NULL,
    precedence BYTEA NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    needs BIGINT NOT NULL CHECK (needs BETWEEN 0 AND 3),
    PRIMARY KEY (lower_id, precedence, lower_version)
);

-- The versions that are the latest of their id for some clients: bit n of `shown_to` is set when they are for clients
-- that ask for n (as `needs` counts). `downloads` are those of all versions of the id. The high bits of the number of a
-- document say how often it was downloaded, the most first: pages are in the order of these numbers.
CREATE TABLE search_documents (
    document BIGINT PRIMARY KEY,
    lower_id TEXT COLLATE "C" NOT NULL,
    lower_version TEXT COLLATE "C" NOT NULL,
    shown_to BIGINT NOT NULL,
    downloads BIGINT NOT NULL,
    UNIQUE (lower_id, lower_version)
);

CREATE INDEX search_documents_by_downloads ON search_documents (downloads DESC, lower_id, shown_to);

-- How many documents clients of each kind see. A search for everything needs the number, and PostgreSQL would have to
-- visit every row to count them.
CREATE TABLE search_totals (
    client BIGINT PRIMARY KEY,
    documents BIGINT NOT NULL
);

INSERT INTO search_totals VALUES (0, 0), (1, 0), (2, 0), (3, 0);

CREATE FUNCTION search_counts_documents() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    before BIGINT := CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE old.shown_to END;
    after BIGINT := CASE WHEN TG_OP = 'DELETE' THEN 0 ELSE new.shown_to END;
BEGIN
    IF before <> after THEN
        UPDATE search_totals SET documents = documents + (after >> client::INTEGER & 1) - (before >> client::INTEGER & 1)
        WHERE (before # after) >> client::INTEGER & 1 = 1;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER search_counts_documents AFTER INSERT OR UPDATE OF shown_to OR DELETE ON search_documents
FOR EACH ROW EXECUTE FUNCTION search_counts_documents();

-- What is shown of a document, as JSON.
CREATE TABLE search_hits (
    document BIGINT PRIMARY KEY,
    hit TEXT COLLATE "C" NOT NULL
);

-- The tokens of a document, as lexemes that hosting/full_text/postgres.py describes; `shown_to` as in
-- search_documents; `digest` is of the texts. Lexemes are stored apart, so that the rows that a search counts fill few
-- pages; and the index is always complete, so that no search reads a list of pending entries.
CREATE TABLE search_words (
    document BIGINT PRIMARY KEY,
    shown_to BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    lexemes TSVECTOR NOT NULL
) WITH (toast_tuple_target = 128, fillfactor = 90);

CREATE INDEX search_words_by_lexeme ON search_words USING gin (lexemes) WITH (fastupdate = off);

-- The number of all matches of a query. It reads what the index finds and nothing else: the settings prevent plans that
-- would unpack the lexemes of every document, which takes seconds.
CREATE FUNCTION search_count(asked TSQUERY, client BIGINT) RETURNS BIGINT LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_indexscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN (SELECT count(*) FROM search_words WHERE lexemes @@ asked AND shown_to & client <> 0);
END
$$;

-- The first matches by number. Where nearly everything matches, they are among the first documents: up to `near` of
-- those are looked at before the index is asked for all matches.
CREATE FUNCTION search_first(asked TSQUERY, client BIGINT, most BIGINT, near BIGINT) RETURNS SETOF BIGINT
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_indexscan = off SET jit = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    found BIGINT[];
BEGIN
    IF near > 0 THEN
        found := ARRAY(
            SELECT document
            FROM (SELECT document, lexemes, shown_to FROM search_words ORDER BY document LIMIT near) AS nearest
            WHERE lexemes @@ asked AND shown_to & client <> 0 ORDER BY document LIMIT most
        );
        IF cardinality(found) = most THEN
            RETURN QUERY SELECT unnest(found);
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        SELECT document FROM search_words WHERE lexemes @@ asked AND shown_to & client <> 0 ORDER BY document LIMIT most;
END
$$;

-- The index follows the owners of an id by itself.
CREATE FUNCTION search_sees_owner() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE search_words AS w SET lexemes = w.lexemes || array_to_tsvector(ARRAY['a_o' || new.account_id])
    FROM search_documents AS d WHERE d.lower_id = new.lower_id AND w.document = d.document;
    RETURN NULL;
END
$$;

CREATE TRIGGER search_sees_owner AFTER INSERT ON package_owners FOR EACH ROW EXECUTE FUNCTION search_sees_owner();

CREATE FUNCTION search_forgets_owner() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE search_words AS w SET lexemes = ts_delete(w.lexemes, 'a_o' || old.account_id)
    FROM search_documents AS d WHERE d.lower_id = old.lower_id AND w.document = d.document;
    RETURN NULL;
END
$$;

CREATE TRIGGER search_forgets_owner AFTER DELETE ON package_owners FOR EACH ROW EXECUTE FUNCTION search_forgets_owner();

CREATE FUNCTION search_counts_downloads() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE search_documents SET downloads = downloads - old.downloads WHERE lower_id = old.lower_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE search_documents SET downloads = downloads + new.downloads WHERE lower_id = new.lower_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER search_counts_downloads AFTER INSERT OR UPDATE OF downloads OR DELETE ON hosted_downloads
FOR EACH ROW EXECUTE FUNCTION search_counts_downloads();
