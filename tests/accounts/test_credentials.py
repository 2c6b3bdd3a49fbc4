"""Keys are recognised without a lookup and compared in constant time; guessing passwords is expensive."""

import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.accounts import credentials
from nugetproxy.accounts.credentials import Passwords, digest_of, holds_key, is_same, key_id_of, mint_key
from nugetproxy.errors import InvalidRequest
from tests.accounts.places import IN_A_YEAR, NOON, quick_passwords


class TestKeys:
    def test_its_form(self):
        minted = mint_key()

        assert minted.text.startswith(f"nugetproxy_{minted.key_id}")
        assert len(minted.text) == 61
        assert minted.text.removeprefix("nugetproxy_").isalnum()
        assert minted.digest == hashlib.sha256(minted.text.encode()).digest()

    def test_each_is_different(self):
        assert len({mint_key().text for _ in range(200)}) == 200

    def test_its_secret_has_more_than_160_bits(self):
        assert len(credentials._ALPHABET) ** credentials._SECRET_LENGTH > 2**160

    def test_its_id_can_be_read_from_it(self):
        minted = mint_key()

        assert key_id_of(minted.text) == minted.key_id

    @given(st.integers(0, 60), st.sampled_from("aZ09-_ é"))
    def test_one_wrong_character_is_detected(self, place, character):
        text = mint_key().text
        wrong = text[:place] + character + text[place + 1 :]

        assert wrong == text or key_id_of(wrong) is None

    @pytest.mark.parametrize("change", [str.upper, str.strip, lambda t: t[:-1], lambda t: t + "a", lambda t: t + "\n",
                                        lambda t: t.replace("nugetproxy_", ""), lambda t: ""])  # fmt: skip
    def test_cut_or_changed_text_is_detected(self, change):
        text = mint_key().text

        assert change(text) == text or key_id_of(change(text)) is None

    @pytest.mark.parametrize("change", [str, str.upper, str.lower, lambda t: t[:31], lambda t: f"packageid:{t}.dll",
                                        quote, lambda t: t.replace("_", "%5F"), lambda t: t.replace("_", "%255f"),
                                        lambda t: "".join(f"%{ord(c):02x}" for c in t)])  # fmt: skip
    def test_anything_like_a_key_is_found_in_a_text(self, change):
        assert holds_key(f"/v3/query?q=a+{change(mint_key().text)}&take=1")

    @pytest.mark.parametrize("text", ["", "nugetproxy", "/v3/query?q=nugetproxy%5fabc", "nugetproxy_requests_total",
                                      "nugetproxy_upstream_held_back_total_of_all", "%", "a%5"])  # fmt: skip
    def test_other_texts_are_not_keys(self, text):
        assert not holds_key(text)

    @given(st.text())
    def test_no_text_breaks_it(self, text):
        assert key_id_of(text) is None
        assert not holds_key(text)
        assert len(digest_of(text)) == 32


class TestComparing:
    def test_digests_are_compared_in_constant_time(self, monkeypatch):
        compared = []

        def compare(one, other):
            compared.append((one, other))
            return one == other

        monkeypatch.setattr(hmac, "compare_digest", compare)

        assert is_same(b"a", b"a")
        assert compared == [(b"a", b"a")]

    async def test_a_key_is_looked_up_by_its_id_and_compared_in_constant_time(self, place, monkeypatch):
        """
        The query knows only the public id: a digest in a WHERE clause would be compared byte by byte.
        """
        alice = await place.directory.add_user("alice")
        key, text = await place.directory.add_key(alice, None, name="ci", expires=IN_A_YEAR)
        compared, queried, fetch = [], [], place.database.fetch_now

        def compare(one, other):
            compared.append(one)
            return one == other

        def watched(sql, parameters=()):
            queried.append(tuple(parameters))
            return fetch(sql, parameters)

        monkeypatch.setattr(hmac, "compare_digest", compare)
        monkeypatch.setattr(place.database, "fetch_now", watched)

        assert await place.directory.find_key(text, NOON) == key
        assert compared == [digest_of(text)]
        assert queried == [(key.key_id,)]


class TestPasswords:
    async def test_the_right_one_matches(self):
        passwords = quick_passwords()
        kept = await passwords.hash("correct horse")

        assert await passwords.matches("correct horse", kept)
        assert not await passwords.matches("correct horse ", kept)

    async def test_the_same_password_is_stored_differently(self):
        passwords = quick_passwords()

        assert await passwords.hash("correct horse") != await passwords.hash("correct horse")

    async def test_by_default_with_argon2id_and_64_mib(self):
        assert (await Passwords().hash("correct horse")).startswith("$argon2id$v=19$m=65536,t=3,")

    async def test_nobody_is_checked_like_anybody(self, monkeypatch):
        """
        A user who does not exist must take as long, or names could be discovered by timing.
        """
        passwords = quick_passwords()
        verified = []

        class Counting:
            hash = staticmethod(passwords._hasher.hash)

            @staticmethod
            def verify(kept, password):
                verified.append(kept)
                return passwords._hasher.verify(kept, password)

        counting = Passwords(Counting())  # type: ignore[arg-type]
        assert not await counting.matches("correct horse", None)
        assert len(verified) == 1

    @pytest.mark.parametrize("kept", ["", "nonsense", "$argon2id$v=19$m=65536", "$2b$12$abcdefghijklmnopqrstuv"])
    async def test_an_invalid_hash_matches_nothing(self, kept):
        assert not await quick_passwords().matches("correct horse", kept)

    @pytest.mark.parametrize("password", ["", "1234567", "x" * 1025])
    async def test_too_short_and_too_long_are_refused(self, password):
        with pytest.raises(InvalidRequest):
            await quick_passwords().hash(password)

    async def test_any_text_is_a_password(self):
        passwords = quick_passwords()
        kept = await passwords.hash("\ud800\x00 ünï 💥")

        assert await passwords.matches("\ud800\x00 ünï 💥", kept)
