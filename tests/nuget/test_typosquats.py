import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nugetproxy.nuget.typosquats import KnownIds, is_within

KNOWN = KnownIds(
    ["Newtonsoft.Json", "Serilog", "Dapper", "Moq", "Microsoft.Extensions.Logging", "Contoso.Arm64", "Contoso.Client_2"]
)


@pytest.mark.parametrize(
    ("lower_id", "known"),
    [
        # One or two mistakes in typing.
        ("newtonsoft.jsn", "Newtonsoft.Json"),
        ("newtonsoft.jsonn", "Newtonsoft.Json"),
        ("newtonsfot.json", "Newtonsoft.Json"),
        ("newtonsift.jsom", "Newtonsoft.Json"),
        ("enwtonsoft.jsno", "Newtonsoft.Json"),
        ("serilgo", "Serilog"),
        ("serillog", "Serilog"),
        ("daper", "Dapper"),
        ("mircosoft.extensions.logging", "Microsoft.Extensions.Logging"),
        ("microsoft.extentions.loging", "Microsoft.Extensions.Logging"),
        # Separators, segments, repetitions.
        ("newtonsoftjson", "Newtonsoft.Json"),
        ("newtonsoft-json", "Newtonsoft.Json"),
        ("newtonsoft_json", "Newtonsoft.Json"),
        ("newton.soft.json", "Newtonsoft.Json"),
        ("json.newtonsoft", "Newtonsoft.Json"),
        ("logging.microsoft.extensions", "Microsoft.Extensions.Logging"),
        ("daapppper", "Dapper"),
        # Letters that look alike.
        ("newt0ns0ft.js0n", "Newtonsoft.Json"),
        ("m1crosoft.extens1ons.l0gg1ng", "Microsoft.Extensions.Logging"),
        ("rnicrosoft.extensions.logging", "Microsoft.Extensions.Logging"),
        ("nеwtonsoft.json", "Newtonsoft.Json"),
        ("ѕеrilоg", "Serilog"),
        ("ｎewtonsoft.json", "Newtonsoft.Json"),
        # Itself, and what is no mistake.
        ("newtonsoft.json", ""),
        ("newtonsoft.json.bson", ""),
        ("newtonsoft", ""),
        ("serilog.sinks", ""),
        ("logging", ""),
        ("moe", ""),
        ("contoso.arm32", ""),
        ("contoso.client_3", ""),
        ("seril", ""),
        ("", ""),
    ],
)
def test_what_an_id_can_be_mistaken_for(lower_id, known):
    found = KNOWN.resembled_by(lower_id)

    assert found == ((known,) if known else ())


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("", "", 0),
        ("abc", "abd", 1),
        ("abc", "ab", 1),
        ("abc", "xabc", 1),
        ("abc", "acb", 1),
        ("abcd", "badc", 2),
        ("abcd", "bcda", 2),
        ("abc", "cab", 2),
        ("abc", "xyz", 3),
    ],
)
def test_mistakes_are_counted(one, other, edits):
    for first, second in ((one, other), (other, one)):
        assert is_within(first, second, edits)
        assert not edits or not is_within(first, second, edits - 1)


ID = st.text("abcm.", min_size=12, max_size=30)


def mistyped(text: str, chance: random.Random) -> str:
    letters, place = list(text), chance.randrange(len(text))
    match chance.randrange(4):
        case 0:
            del letters[place]
        case 1:
            letters.insert(place, chance.choice("abcz"))
        case 2:
            letters[place] = chance.choice("abcz")
        case _ if place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


@given(ID, st.integers(), st.lists(ID, max_size=30))
def test_no_two_mistakes_are_overlooked(text, seed, others):
    """
    The index finds every known id that comparing with all of them finds.
    """
    chance = random.Random(seed)
    wrong = mistyped(mistyped(text, chance), chance)
    known = KnownIds([text, *others])
    if len(wrong) >= 12 and wrong not in {text, *others}:
        assert set(known.resembled_by(wrong)) >= {each for each in (text, *others) if is_within(wrong, each, 2)}


def test_few_known_ids_are_compared():
    """
    Of 10,000 ids with common beginnings, the index leaves few to be compared letter by letter.
    """
    chance = random.Random(3)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randrange(4, 9))) for _ in range(100)]
    ids = {f"Contoso.{chance.choice(words)}.{chance.choice(words)}.{chance.choice(words)}" for _ in range(11_000)}
    known = KnownIds(list(ids)[:10_000])
    looked_at = [len(known._candidates(mistyped(each.lower(), chance))) for each in chance.sample(sorted(ids), 200)]

    assert sum(looked_at) / len(looked_at) < 300
