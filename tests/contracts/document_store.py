"""The contract of every DocumentStore. A subclass provides the fixture `store`."""

from dataclasses import replace

from tests.httpcache.documents import NOON, a_document, an_absence

ONE = "https://upstream.test/one"
OTHER = "https://upstream.test/other"


class DocumentStoreContract:
    async def test_an_unknown_document_is_absent(self, store):
        assert store.get(ONE) is None

    async def test_a_stored_document_is_returned(self, store):
        document = a_document(url=ONE)
        await store.put(document)

        assert document == store.get(ONE) == store.get(ONE, skip_hot=True)

    async def test_an_absence_is_a_document(self, store):
        await store.put(an_absence())

        assert an_absence() == store.get(an_absence().url)

    async def test_a_put_replaces(self, store):
        await store.put(a_document(url=ONE, body=b"old", age=50))
        new = a_document(url=ONE, body=b"new")
        await store.put(new)

        assert new == store.get(ONE)

    async def test_urls_are_independent(self, store):
        one, other = a_document(url=ONE, body=b"1"), a_document(url=OTHER, body=b"2")
        await store.put(one)
        await store.put(other)
        await store.delete(OTHER)

        assert (one, None) == (store.get(ONE), store.get(OTHER))

    async def test_any_url_is_a_key(self, store):
        """
        Ids of old packages are not always ASCII, and search URLs contain what people type.
        """
        urls = [ONE + text for text in ("?q=a%20b", "/é", "/%", "?q='; DROP TABLE Cache", "/" + "x" * 5000)]
        for number, url in enumerate(urls):
            await store.put(a_document(url=url, body=b"%d" % number))

        assert [b"%d" % number for number in range(len(urls))] == [store.get(url).body for url in urls]

    async def test_bodies_of_any_size(self, store):
        sizes = [0, 1, 40_000, 3_000_000]
        for size in sizes:
            await store.put(a_document(url=f"{ONE}/{size}", body=b"\x00\xff" * size))

        assert [b"\x00\xff" * size for size in sizes] == [store.get(f"{ONE}/{size}").body for size in sizes]

    async def test_age_alone_removes_nothing(self, store):
        """
        A copy from years ago is still available when the upstream fails today.
        """
        ancient = a_document(url=ONE, age=1e9)
        await store.put(ancient)
        await store.put(a_document(url=OTHER))

        assert ancient == store.get(ONE)

    async def test_a_confirmation_only_changes_the_time(self, store):
        document = a_document(url=ONE, age=500)
        await store.put(document)
        confirmed = replace(document, confirmed=NOON)
        await store.confirm(confirmed)

        assert confirmed == store.get(ONE) == store.get(ONE, skip_hot=True)

    async def test_a_clock_may_go_backwards(self, store):
        """
        The last write wins, even after the machine's clock was set back.
        """
        document = a_document(url=ONE)
        await store.put(document)
        earlier = replace(document, confirmed=NOON - 1e6)
        await store.confirm(earlier)

        assert earlier == store.get(ONE)

    async def test_an_expiry_is_kept_and_ended_by_a_confirmation(self, store):
        document = a_document(url=ONE, age=5)
        await store.put(document)
        await store.confirm(replace(document, expired=True))
        assert store.get(ONE).expired

        await store.confirm(replace(document, confirmed=NOON))
        assert not store.get(ONE).expired

    async def test_a_confirmation_of_another_document_changes_nothing(self, store):
        """
        A late 304 for a document that was replaced must not make the new one look confirmed.
        """
        old, new = a_document(url=ONE, body=b"old", age=500), a_document(url=ONE, body=b"new", age=100)
        await store.put(old)
        await store.put(new)
        await store.confirm(replace(old, confirmed=NOON))

        assert new == store.get(ONE)

    async def test_a_put_replaces_the_time_of_the_old_document(self, store):
        document = a_document(url=ONE, age=500)
        await store.put(document)
        await store.confirm(replace(document, confirmed=NOON, expired=True))
        await store.put(document)

        assert document == store.get(ONE)

    async def test_deleting_an_unknown_document_is_not_an_error(self, store):
        await store.delete(ONE)

    async def test_a_deleted_confirmation_does_not_come_back(self, store):
        document = a_document(url=ONE, age=500)
        await store.put(document)
        await store.confirm(replace(document, confirmed=NOON))
        await store.delete(ONE)
        await store.put(document)

        assert document == store.get(ONE)

    async def test_its_size_grows_with_its_documents(self, store):
        before = store.size_bytes()
        await store.put(a_document(url=ONE, body=bytes(500_000)))

        assert store.size_bytes() >= before + 500_000

    async def test_everything_below_an_address_can_be_expired(self, store):
        """
        The documents of one id are expired, not those of an id that begins alike; bodies and times stay.
        """
        folder = "https://upstream.test/registrations/x/"
        inside = [a_document(url=folder + name) for name in ("index.json", "page/1.0.0/2.0.0.json")]
        outside = a_document(url="https://upstream.test/registrations/x.y/index.json")
        for document in (*inside, outside):
            await store.put(document)

        assert {document.url for document in inside} == set(await store.expire([folder]))
        assert [replace(document, expired=True) for document in inside] == [store.get(each.url) for each in inside]
        assert outside == store.get(outside.url)

    async def test_what_is_expired_is_not_expired_again(self, store):
        await store.put(an_absence())

        assert [[an_absence().url], []] == [await store.expire([an_absence().url]) for _ in range(2)]
        assert store.get(an_absence().url).expired

    async def test_a_confirmation_after_an_expiry_counts(self, store):
        document = a_document(url=ONE)
        await store.put(document)
        await store.expire([ONE])
        confirmed = replace(document, confirmed=NOON + 5)
        await store.confirm(confirmed)

        assert confirmed == store.get(ONE) == store.get(ONE, skip_hot=True)
