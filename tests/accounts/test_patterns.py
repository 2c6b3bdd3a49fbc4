"""Globs of keys, reserved and protected prefixes: compared with slower definitions, and by example."""

import itertools
import re
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.accounts import search_words
from nugetproxy.accounts.reservations import (
    ProtectedPrefixes,
    Reservation,
    check_breadth,
    most_specific_first,
    parse_pattern,
    protected_prefixes,
)
from nugetproxy.errors import InvalidRequest
from nugetproxy.nuget.globs import checked_glob, glob_matches, globs_overlap

# Few letters, so that matches occur.
IDS = st.from_regex(r"[ab]{1,3}(\.[ab]{1,3}){0,3}", fullmatch=True)
GLOBS = st.from_regex(r"[abAB.*]{1,8}", fullmatch=True)
PATTERNS = st.from_regex(r"[abAB]{1,3}(\.[ab]{1,2}){0,2}(\.|\.\*|\*)?", fullmatch=True)


class TestGlobs:
    @given(GLOBS, IDS)
    def test_as_a_regular_expression_would(self, glob, lower_id):
        expected = re.fullmatch(".*".join(map(re.escape, glob.lower().split("*"))), lower_id) is not None

        assert glob_matches(glob, lower_id) == expected

    @pytest.mark.parametrize(
        ("glob", "lower_id", "expected"),
        [
            ("*", "anything", True),
            ("Contoso.*", "contoso.core", True),
            ("Contoso.*", "contoso", False),
            ("Contoso.*", "contosocore", False),
            ("Contoso.Core", "contoso.core", True),
            ("Contoso.Core", "contoso.core.x", False),
            ("*.Core", "contoso.core", True),
            ("a*a", "a", False),
            ("a*a", "aa", True),
            ("Ünï*", "ünïcode", True),
        ],
    )
    def test_examples(self, glob, lower_id, expected):
        assert glob_matches(glob, lower_id) is expected

    def test_many_stars_do_not_make_it_slow(self):
        assert not glob_matches("*a" * 50, "a" * 49 + "b" * 100_000)

    @pytest.mark.parametrize("glob", ["", "a b", "a/b", "a\nb", "Contoso.", "a" * 101, "[ab]"])
    def test_a_glob_that_can_match_no_id_is_refused(self, glob):
        with pytest.raises(InvalidRequest):
            checked_glob(glob)


class TestReservations:
    @given(PATTERNS, IDS)
    def test_a_prefix_is_starts_with_and_an_id_is_itself(self, text, lower_id):
        pattern, exact = parse_pattern(text)
        stem = text.lower().removesuffix("*")
        is_prefix = text.endswith(("*", "."))

        assert exact is not is_prefix
        assert Reservation(pattern, exact, False).matches(lower_id) is (
            lower_id.startswith(stem) if is_prefix else lower_id == stem
        )

    @given(PATTERNS)
    def test_a_pattern_is_kept_in_one_form(self, text):
        pattern, exact = parse_pattern(text)

        assert parse_pattern(pattern) == (pattern, exact)

    @given(st.lists(PATTERNS, max_size=8), IDS)
    def test_the_most_specific_comes_first(self, texts, lower_id):
        found = most_specific_first([Reservation(*parse_pattern(text), False) for text in texts], lower_id)

        assert all(each.matches(lower_id) for each in found)
        ranks = [(each.exact, len(each.stem)) for each in found]
        assert ranks == sorted(ranks, reverse=True)

    @pytest.mark.parametrize("text", ["Contoso.", "Contoso.*"])
    def test_with_and_without_the_star_is_the_same(self, text):
        assert parse_pattern(text) == ("Contoso.*", False)

    @pytest.mark.parametrize("text", ["", "*", ".", ".*", "a..*", "a b", "Con*oso", "a/b", "**", "a" * 101])
    def test_nonsense_and_everything_are_refused(self, text):
        with pytest.raises(InvalidRequest, match="is not a prefix"):
            parse_pattern(text)


class TestBreadth:
    @pytest.mark.parametrize("text", ["Contoso.*", "Contoso-*", "HP.*", "A.B.*", "Contoso", "X", "Contoso.C"])
    def test_allowed_patterns(self, text):
        check_breadth(*parse_pattern(text), wide=False)

    @pytest.mark.parametrize("text", ["A*", "Mi*", "a.", "A.*"])
    @pytest.mark.parametrize("wide", [True, False])
    def test_a_prefix_that_is_too_short_is_refused(self, text, wide):
        with pytest.raises(InvalidRequest, match="at least 3 characters"):
            check_breadth(*parse_pattern(text), wide=wide)

    @pytest.mark.parametrize("text", ["Microsoft*", "Contoso.C*", "Contoso_*"])
    def test_one_that_ends_inside_a_word_must_be_requested(self, text):
        """
        It covers unrelated ids: their public packages would be hidden.
        """
        with pytest.raises(InvalidRequest, match=re.escape(f"reserve '{text[:-1]}.*' (and '{text[:-1]}'), or use")):
            check_breadth(*parse_pattern(text), wide=False)
        check_breadth(*parse_pattern(text), wide=True)


class TestProtected:
    def prefixes(self, *settings: str, reserved: tuple[Reservation, ...] = ()) -> ProtectedPrefixes:
        return protected_prefixes(settings, reserved)

    @given(st.lists(PATTERNS, max_size=5), IDS)
    def test_settings_are_prefixes_whether_with_a_star_or_not(self, texts, lower_id):
        expected = any(lower_id.startswith(text.lower().removesuffix("*")) for text in texts)

        assert self.prefixes(*texts).covers(lower_id) is expected

    def test_reservations_protect_unless_shared(self):
        ours = self.prefixes(
            reserved=(
                Reservation("Contoso.*", False, False),
                Reservation("Open.*", False, True),
                Reservation("Solo", True, False),
            )
        )

        assert [ours.covers(each) for each in ("contoso.a", "contoso", "open.a", "solo", "solo.a")] == [
            True, False, False, True, False,
        ]  # fmt: skip

    @given(IDS, st.sampled_from(["{}", "x {}", '"{}"', "packageid:{}", 'id:"{}" y', "({})", "{},b", "owner:{} z"]))
    def test_an_id_below_a_prefix_is_seen_in_any_search(self, below, form):
        assert self.prefixes("Contoso.").touches(form.format(f"CONTOSO.{below}"))

    @pytest.mark.parametrize(
        "text",
        ["contoso", "Contoso.", "contoso.*", "CONTOSO secret", "packageid:contoso", "owner:Contoso", "tags:contoso",
         "a +contoso", "'contoso'", "contoso-secret", "contoso,secret", "-contoso", "Contoso.Secret 99", "contoso*",
         "id:contoso.s", "contoso/secret", "“contoso”", "contoso_secret", "CONTOSO_Secret", "id:contoso",
         "packageid:Contoso_X", '"contoso_secret thing"', "_contoso", "contoso_", "__contoso.secret_", ".contoso.",
         "contoso__secret", "contoso._secret", "contoso-_-x", "tags:contoso_secret", "contoso%2Esecret", "(contoso)!",
         "contoso?", "contoso…", "a\tcontoso", "contoso\u3000secret", "contoso\uff0esecret", "contoso\uff3fsecret",
         "Contoso.Ünïcode", "contoso\u0301"],
    )  # fmt: skip
    def test_what_names_a_prefix(self, text):
        assert self.prefixes("Contoso.").touches(text)

    @pytest.mark.parametrize(
        "invisible",
        ["\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u200e", "\u202e", "\u061c", "\u034f",
         "\u3164", "\ufe0f"],
    )  # fmt: skip
    @pytest.mark.parametrize("text", ["con{0}toso", "{0}contoso", "contoso{0}", "id:con{0}toso{0}.secret",
                                      "a{0}contoso{0}x",
                                      "con\u00adtoso{0}secret", "\uff43on{0}toso", "contoso{0}secret"])  # fmt: skip
    def test_invisible_characters_hide_no_name(self, text, invisible):
        """
        One engine drops a soft hyphen, another splits the word at it.
        """
        assert self.prefixes("Contoso.").touches(text.format(invisible))

    def test_but_are_harmless_elsewhere(self):
        assert not self.prefixes("Contoso.", "_").touches("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 json")

    @pytest.mark.parametrize(
        "text",
        ["\uff43ontoso.x", "con\u00adtoso.x", "\ufeffcontoso.x", "con\u034ftoso.x", "contoso\ufe0f.x",
         "\u0441ontoso.x", "c\u03bfntos\u043e.x", "co\u03b7toso.x", "co\u03bdtoso.x", "\uff43\u043ento\u0455o.x"],
    )  # fmt: skip
    def test_an_id_that_only_looks_like_ours_is_another(self, text):
        ours = self.prefixes("Contoso.")

        assert ours.resembles(text)
        assert not ours.covers(text)

    @pytest.mark.parametrize("text", ["id:\u0441ontoso.x", "\u0421\u041entoso", "\u039fpen C\u03bfntoso secret"])
    def test_a_text_in_letters_of_the_same_look_names_it(self, text):
        assert self.prefixes("Contoso.").touches(text)

    @pytest.mark.parametrize(
        "text", ["\u0441\u043e\u0440\u0442.x", "m\u00fcller.x", "\u03b1\u03b2\u03b3.x", "\u5305.x"]
    )
    def test_an_id_in_another_script_is_nobody_elses(self, text):
        ours = self.prefixes("Contoso.", "Muller.")

        assert not ours.resembles(text)
        assert not ours.touches(text)

    @pytest.mark.parametrize(
        "text",
        ["", "conto", "contosoft", "my.contoso.x", "json", "* *", "microsoft.contoso", "my_contoso", "_", "._-",
         "con_toso", "contoso2", "id:contosoft", "owner:my.contoso"],
    )  # fmt: skip
    def test_what_does_not_name_it(self, text):
        assert not self.prefixes("Contoso.").touches(text)

    @pytest.mark.parametrize("text", ["ContosoSecret", "contososecret", "id:ContosoUniversity", '"ContosoSecret"'])
    def test_an_id_that_only_begins_like_it_is_looked_for(self, text):
        """
        Without a dot it is not under `Contoso.`: a public package may have the id, and searches must find it.
        """
        ours = self.prefixes("Contoso.")

        assert not ours.touches(text)
        assert not ours.covers("contososecret")

    @pytest.mark.parametrize(
        "text", ["my_house.core", "My-House", "my.house", "MY_HOUSE", "my__house-core", "my.house_"]
    )
    @pytest.mark.parametrize("prefix", ["My.House.", "My_House.", "My-House-"])
    def test_any_character_can_separate_the_words_of_a_prefix(self, prefix, text):
        assert self.prefixes(prefix).touches(text)
        assert not self.prefixes(prefix).touches("my.houseboat")
        assert not self.prefixes(prefix).touches("my")

    @pytest.mark.parametrize("prefix", ["_Contoso.", "_Contoso", "Contoso_", "_"])
    def test_a_prefix_may_have_an_underscore_at_its_ends(self, prefix):
        ours = self.prefixes(prefix)

        assert ours.touches(f"id:{prefix}X")
        assert not ours.touches("serilog")
        assert not ours.touches("")

    def test_an_exact_id_is_named_by_itself(self):
        ours = self.prefixes(reserved=(Reservation("Solo", True, False),))

        assert ours.touches("packageid:SOLO")
        assert ours.touches("_solo_")
        assert not ours.touches("solo.a")

    @pytest.mark.parametrize("name", ["Fabrikam.Only", "fabrikam-only", "Fabrikam_Only", "FabrikamOnly"])
    @pytest.mark.parametrize(
        "text",
        ["fabrikam only", "only fabrikam", "Fabrikam.Only", "fabrikam/only", "fabrikam, the only one", "FabrikamOnly",
         "onlyFabrikam", "OnlyFabrikamTools", "fabrikamonly", "packageid:fabrikam only", "id:only fabrikam",
         "owner:fabrikam tags:only", '"only" +fabrikam', "ONLY-Fabrikam", "fabrikam\u3000only",
         "fabrikam%20only", "%46abrikam.only", "only%2520fabrikam", "f%D0%B0brikam only",
         "\uff46abrikam \uff4fnly", "f\u0430brikam only", "fabri\u00adkam only"],
    )  # fmt: skip
    def test_the_words_of_an_exact_id_name_it(self, name, text):
        """
        A search engine splits ids, so the words in any order find it, and reveal it. Capitals separate words, too.
        """
        assert self.prefixes(reserved=(Reservation(name, True, False),)).touches(text)

    @pytest.mark.parametrize(
        "text", ["fabrikam", "only", "fabrikam on tools", "the onlyfabrikam", "fabrikamonlytools", "onlyfabrikam"]
    )
    def test_some_of_its_words_do_not(self, text):
        assert not self.prefixes(reserved=(Reservation("Fabrikam.Only", True, False),)).touches(text)

    def test_an_exact_id_of_one_word_is_a_whole_term(self):
        ours = self.prefixes(reserved=(Reservation("Solo", True, False),))

        assert [ours.touches(text) for text in ("Solo", "a solo b", "owner:solo", "so lo")] == [True] * 4
        assert [ours.touches(text) for text in ("solo.b", "my-solo", "SoloTools", "solos")] == [False] * 4

    @pytest.mark.parametrize(
        "text", ["contoso internal", "internal tools of Contoso", "ContosoInternalTool", "Internal-Contoso"]
    )
    def test_the_words_of_a_prefix_of_several_words_name_it(self, text):
        assert self.prefixes("Contoso.Internal.").touches(text)
        assert self.prefixes("ContosoInternal.").touches(text)
        assert not self.prefixes("Contoso.Internal.").touches("contoso tools")

    def test_a_prefix_may_end_inside_a_word(self):
        ours = self.prefixes("Contoso.Int*")

        assert ours.touches("internal contoso")
        assert not ours.touches("contoso tools")

    @pytest.mark.parametrize(
        "text", ["c " * 16_000, "contoso " * 4_000, "contosopart " * 3_000, "C" * 32_000, "cC" * 16_000]
    )
    def test_a_long_text_costs_a_few_lookups_per_term(self, text, monkeypatch):
        ours = self.prefixes(reserved=tuple(Reservation(f"Contoso.Part{n}", True, False) for n in range(2000)))
        looks = []

        def counted(*arguments):
            looks.append(1)
            return bisect_left(*arguments)

        monkeypatch.setattr(search_words, "bisect_left", counted)
        assert not ours.touches(text)
        assert len(looks) <= 3 * len(text.split())

    def test_nothing_protected_touches_nothing(self):
        assert not self.prefixes().touches("contoso")
        assert not self.prefixes().covers("contoso")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*", "*", True),
        ("Contoso.*", "contoso.core", True),
        ("Contoso.*", "contoso", False),
        ("Contoso.*", "Contoso.Core.*", True),
        ("Contoso.*", "Fabrikam.*", False),
        ("*.Tools", "Contoso.*", True),
        ("*.Tools", "*.Core", False),
        ("a*b*c", "a*d*c", True),
        ("a*b", "b*", False),
        ("contoso", "Contoso", True),
        ("contoso", "contoso.", False),
        ("a*a", "a", False),
    ],
)
def test_globs_that_overlap(one, other, expected):
    assert globs_overlap(one, other) is expected
    assert globs_overlap(other, one) is expected


@given(st.text("ab*", min_size=1, max_size=5), st.text("ab*", min_size=1, max_size=5))
def test_globs_overlap_where_a_text_matches_both(one, other):
    texts = ("".join(letters) for length in range(9) for letters in itertools.product("ab", repeat=length))
    assert globs_overlap(one, other) is any(glob_matches(one, text) and glob_matches(other, text) for text in texts)
