"""Packages and queries by chance, from a seed: ordinary ones that have much in common, and hostile ones."""

import random
from collections.abc import Iterator
from typing import Final

from nugetproxy.errors import NugetproxyError
from nugetproxy.nuget.manifest import PackageManifest
from nugetproxy.protocol.v3.search import CompletionQuery, SearchQuery
from tests.hosting.shelf import package

# Few, so that phrases, prefixes and parts of ids often meet.
_WORDS: Final = (
    *(
        "json",
        "js",
        "schema",
        "Html",
        "Agility",
        "Pack",
        "log4net",
        "net",
        "Net",
        "xml",
        "XmlReader",
        "reader",
        "a",
        "x",
    ),
    *("io", "csv2", "data", "database"),
)
_LETTERS: Final = ("größe", "Straße", "日本語", "本", "これは", "שלום", "مرحبا", "é", "İd", "ﷺ", "ﬁle", "Ǆ", "ﾆﾎﾝ")
_ODD: Final = (
    *_LETTERS,
    *(
        "👍",
        "c#",
        "c++",
        "'",
        "''",
        '"',
        "\\",
        "\\'",
        ":*",
        "<->",
        "!",
        "&",
        "|",
        "(",
        ")",
        "*",
        "%",
        "_",
        "-",
        ".",
        ":",
    ),
    *("{name}", "NEAR(", "\u0301", "\u200f", "\u00a0", "\u2028", "\x07", "\0", "\ud800"),
    *("a_o1", "_o1", "_h0", "ajson", "njson", "Njson xml", "-json"),
)
_VERSIONS: Final = ("1.0.0", "2.0.0", "2.0.0-beta", "3.0.0-rc.1", "1.5.0+build")
_FIELDS: Final = ("id", "packageid", "title", "tags", "description", "summary", "author", "owner", "version", "")
_TYPES: Final = (None, None, None, "DotnetTool", "Dependency", "ÖdT'yp")


def packages(choose: random.Random, count: int) -> Iterator[PackageManifest]:
    """Versions of packages, each once."""
    seen: set[tuple[str, str]] = set()
    while len(seen) < count:
        joint = choose.choice((".", ".", "", "_", "-"))
        name = joint.join(choose.choice((*_WORDS, *_LETTERS)) for _ in range(choose.choice((1, 2, 2, 3, 4))))
        version = choose.choice(_VERSIONS)
        try:
            made = package(
                f"{choose.choice(('Contoso.', 'Contoso.', ''))}{name}",
                version,
                title=_text(choose, 4),
                tags=_text(choose, 3),
                description=_text(choose, 30),
                summary=_text(choose, 6),
                authors=_text(choose, 3),
                types=[kind for kind in [choose.choice(_TYPES)] if kind],
            )
        except NugetproxyError:
            continue
        if (made.identity.lower_id, made.identity.lower_version) not in seen:
            seen.add((made.identity.lower_id, made.identity.lower_version))
            yield made


def hostile_packages() -> Iterator[PackageManifest]:
    """Texts at the limits of what an index takes."""
    long = "w" * 10_000
    wide = "".join(chr(0x4E00 + number % 20_000) for number in range(16_384))
    yield package("Hostile.Long", title=long, tags=long, description=f"{long} json {long}", authors=f"json {long}")
    yield package("Hostile.Wide", title=wide, tags=wide[::-1], description=wide * 2, summary=wide[9:], authors=wide)
    yield package("Hostile.Same", description="json " * 16_384, title="a1" * 8_000, summary="aB" * 8_000)
    yield package("Hostile." + "ﷺ" * 40, description="\\" * 9_000 + "'" * 9_000, types=["T" * 5_000])
    yield package("Hostile.Long.Version", "1.0.0-" + "a" * 150, description="\u0301" * 9_000)


def queries(choose: random.Random, count: int) -> Iterator[SearchQuery]:
    for _ in range(count):
        yield SearchQuery(
            query(choose),
            skip=choose.choice((0, 0, 0, 0, 5)),
            take=choose.choice((20, 20, 3, 100)),
            prerelease=choose.random() < 0.5,
            semver_level2=choose.random() < 0.5,
            package_type=choose.choice((*_TYPES, None, None, None, None)),
        )


def completions(choose: random.Random, count: int) -> Iterator[CompletionQuery]:
    for _ in range(count):
        word = _word(choose)
        text = choose.choice((word, word[:1], word[:3], f"Contoso.{word}", f"{word} {_word(choose)}", "contoso", ""))
        yield CompletionQuery(text, prerelease=choose.random() < 0.5, take=choose.choice((20, 100)))


def query(choose: random.Random) -> str:
    """What somebody types, or somebody else."""
    if choose.random() < 0.4:
        return _piece(choose)
    terms = []
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        words = " ".join(_piece(choose) for _ in range(choose.choice((1, 1, 1, 2))))
        field = choose.choice(_FIELDS) if choose.random() < 0.4 else ""
        quoted = f'"{words}"' if choose.random() < 0.4 else words
        terms.append(f"{field}:{quoted}" if field else quoted)
    return " ".join(terms)


def _piece(choose: random.Random) -> str:
    if choose.random() < 0.1:
        return choose.choice(("Contoso", "alice", "1.0.0"))
    word = choose.choice(("", ".", ".")).join(_word(choose) for _ in range(choose.choice((1, 1, 1, 1, 2, 3))))
    if choose.random() < 0.3:
        start = choose.randrange(len(word))
        word = word[start : start + choose.randint(2, 8)]
    return choose.choice((word, word, word.upper()))


def _text(choose: random.Random, longest: int) -> str:
    words = " ".join(_word(choose) for _ in range(choose.randint(0, longest)))
    return words.replace("\ud800", "").replace("\0", "")  # no nuspec has these


def _word(choose: random.Random) -> str:
    return choose.choice(_ODD if choose.random() < 0.15 else _WORDS)
