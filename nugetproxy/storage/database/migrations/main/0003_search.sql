-- What search keeps of hosted packages. All of it follows from the other tables and can be made anew.
-- The rules that the rows were made by, and how far making them anew has come: a lower id, or NULL when it is done.
CREATE TABLE search_state (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    rules INTEGER NOT NULL,
    reached TEXT
) STRICT
--;
INSERT INTO search_state VALUES (1, 0, '')
--;
-- The listed versions. `precedence` sorts as versions do; `version` is as it is shown. `needs` is what a client must
-- ask for to see it: 1 prereleases, 2 SemVer 2.
CREATE TABLE search_versions (
    lower_id TEXT NOT NULL,
    precedence BLOB NOT NULL,
    lower_version TEXT NOT NULL,
    version TEXT NOT NULL,
    needs INTEGER NOT NULL CHECK (needs BETWEEN 0 AND 3),
    PRIMARY KEY (lower_id, precedence, lower_version)
) STRICT, WITHOUT ROWID
--;
-- The versions that are the latest of their id to somebody: bit n of `shown_to` is set when they are to clients that
-- ask for n (as `needs` counts). So each kind of client sees at most one document of an id. `downloads` are those of
-- all versions of the id. The number of a document says in its high bits how often it was downloaded, the most first:
-- the full-text index answers in the order of these numbers, so that a page needs no look at all that is found.
CREATE TABLE search_documents (
    document INTEGER PRIMARY KEY,
    lower_id TEXT NOT NULL,
    lower_version TEXT NOT NULL,
    shown_to INTEGER NOT NULL,
    downloads INTEGER NOT NULL,
    UNIQUE (lower_id, lower_version)
) STRICT
--;
CREATE INDEX search_documents_by_downloads ON search_documents (downloads DESC, lower_id, shown_to)
--;
-- What is shown of a document, as JSON; kept apart so that looking through the documents touches few pages.
CREATE TABLE search_hits (
    document INTEGER PRIMARY KEY,
    hit TEXT NOT NULL
) STRICT
--;
-- The words of a document, cut and folded already: the tokenizer only splits at spaces. `within` has endings of
-- the id, so that any part of it is a prefix of one of them. `owners`, `marks` and `hidden` are no words: they begin
-- with _, which no word does, and say who owns the id, what else is asked for exactly, and who must not see it.
-- Nothing here asks for the lengths of columns.
CREATE VIRTUAL TABLE search_words USING fts5 (
    name, within, title, tags, description, summary, authors, owners, marks, hidden,
    tokenize = "ascii tokenchars '._-'", prefix = '2 3', columnsize = 0
)
--;
-- Of the same documents what names them alone: for completion at every key that is hit, and for order.
CREATE VIRTUAL TABLE search_names USING fts5 (
    name, title, tags, marks, hidden,
    tokenize = "ascii tokenchars '._-'", prefix = '1 2 3', columnsize = 0
)
--;
CREATE TRIGGER search_sees_owner AFTER INSERT ON package_owners BEGIN
    UPDATE search_words
    SET owners = (SELECT group_concat('_o' || account_id, ' ') FROM package_owners WHERE lower_id = new.lower_id)
    WHERE rowid IN (SELECT document FROM search_documents WHERE lower_id = new.lower_id);
END
--;
CREATE TRIGGER search_forgets_owner AFTER DELETE ON package_owners BEGIN
    UPDATE search_words
    SET owners = (SELECT group_concat('_o' || account_id, ' ') FROM package_owners WHERE lower_id = old.lower_id)
    WHERE rowid IN (SELECT document FROM search_documents WHERE lower_id = old.lower_id);
END
--;
CREATE TRIGGER search_counts_first_downloads AFTER INSERT ON hosted_downloads BEGIN
    UPDATE search_documents SET downloads = downloads + new.downloads WHERE lower_id = new.lower_id;
END
--;
CREATE TRIGGER search_counts_more_downloads AFTER UPDATE OF downloads ON hosted_downloads BEGIN
    UPDATE search_documents SET downloads = downloads + new.downloads - old.downloads WHERE lower_id = new.lower_id;
END
--;
CREATE TRIGGER search_forgets_downloads AFTER DELETE ON hosted_downloads BEGIN
    UPDATE search_documents SET downloads = downloads - old.downloads WHERE lower_id = old.lower_id;
END
