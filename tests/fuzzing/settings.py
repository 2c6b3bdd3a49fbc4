"""Input from operators: settings in files and variables, lock files to prewarm, users to import."""

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from nugetproxy.accounts.import_file import read_users
from nugetproxy.config.checked_values import parse_listen, parse_size
from nugetproxy.config.hosts import canonical_host, parse_allowed_host
from nugetproxy.config.reading import keys, load, variable
from nugetproxy.config.shown import describe
from nugetproxy.config.upstream_names import upstream_name
from nugetproxy.config.values import parse_duration
from nugetproxy.errors import ConfigError, InvalidRequest
from nugetproxy.nuget.lock_files import read_wanted
from nugetproxy.storage.backup.manifest import FILE, Manifest
from nugetproxy.storage.database.opening import MAIN
from tests.fuzzing.choices import Choices
from tests.fuzzing.json_documents import document_bytes
from tests.fuzzing.target import Outcome, Target, check_sentence
from tests.fuzzing.texts import ODD_CHARACTERS, address, odd_text, package_id, version

_EXAMPLE: Final = Path(__file__).parents[2] / "config.example.toml"
_VALUES: Final = (
    *(
        "true",
        "0",
        "-1",
        "5",
        "1e9",
        "1" * 400,
        "inf",
        "nan",
        "'10 GB'",
        "'64 MiB'",
        "'30s'",
        "'1d'",
        "''",
        "'*'",
        "[]",
    ),
    *("'auto'", "'" + "9" * 400 + " GB'", "'" + "9" * 400 + "d'", "['a', 1]", "{}", "'[::1]:8550'", "':8550'", "[{}]"),
    *("'https://up.example/v3/index.json'", "'http://[::1'", "'10.0.0.0/8'", "'10.0.0.1/8'", "'Contoso.*'", "[['a']]"),
    *(
        "'all'",
        "'none'",
        "'json'",
        "1979-05-27",
        "'\\u0000'",
        "'a/b'",
        "'127.0.0.1:99999'",
        "'unix:/x'",
        "['10.0.0.1']",
    ),
)


@cache
def _lines() -> tuple[str, ...]:
    """The reference, without its explanatory text."""
    return tuple(line for line in _EXAMPLE.read_text("utf-8").splitlines() if line and not line.startswith("# "))


def make_settings(choices: Choices) -> tuple[bytes, dict[str, str], dict[str, object]]:
    lines = [line.removeprefix("#") for line in _lines()]
    kept = [line for line in lines if line.startswith("[") or not choices.below(3)]
    for _ in range(choices.below(4)):
        at = choices.below(len(kept))
        name, equals, _ = kept[at].partition("=")
        kept[at] = (
            f"{name}={choices.one_of(_VALUES)}" if equals else choices.one_of(("[x]", "[[mirroring]]", "[server"))
        )
    content = "\n".join(kept).encode()
    if choices.chance(6):
        content = choices.edited(content)
    if choices.chance(12):
        content = b"a = " + b"[" * choices.one_of((100, 5_000))

    def a_variable() -> str:
        known = variable(choices.one_of(tuple(keys())))
        return known.replace("__0__", f"__{choices.one_of((0, 0, 1, 2, 99, '٣', '9' * 5_000))}__")

    def a_value() -> str:
        return choices.one_of((*_VALUES, "[" * 3_000, '["a"]', odd_text(choices).replace("\0", "")))

    environment = {
        a_variable() if not choices.chance(8) else "NUGETPROXY_X": a_value() for _ in range(choices.below(4))
    }
    return content, environment, {"mirroring.upstream": [address(choices)]} if choices.chance(3) else {}


def use_settings(given: tuple[bytes, dict[str, str], dict[str, object]]) -> Outcome | None:
    content, environment, overrides = given
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        Path(file.name).write_bytes(content)
        try:
            config = load(Path(file.name), environment, overrides)
        except ConfigError as refused:
            problems = refused.problems
        else:
            problems = []
    if problems:
        for problem in problems:
            check_sentence(problem)
        return Outcome.REFUSED
    shown = describe(config)
    again = type(config).model_validate(config.model_dump())
    assert again == config
    assert shown == describe(again)
    return None


def make_values(choices: Choices) -> str:
    text = choices.one_of((*_VALUES, "127.0.0.1:8550", "*.blob.example.net", "fe80::1%eth0", "0x7f.1", "017700000001"))
    text = text.strip("'")
    return (
        text + choices.one_of(ODD_CHARACTERS)
        if choices.chance(4)
        else choices.edited(text.encode(), 2).decode("latin-1")
    )


def use_values(text: str) -> Outcome | None:
    is_accepted = False
    for parse in (parse_size, parse_duration, parse_listen, parse_allowed_host, canonical_host):
        parse_any: Any = parse
        try:
            value = parse_any(text)
        except ValueError:
            continue
        is_accepted = True
        if parse is parse_size:
            assert isinstance(value, int)
            assert value >= 0 or text.startswith("-")
        elif parse is canonical_host:
            assert canonical_host(value) == value
        elif parse is parse_listen:
            assert 0 <= value[1] <= 65_535
    assert re.fullmatch(r"[A-Za-z0-9._-]+", upstream_name(f"https://{text.replace('[', '').replace(']', '')}/"))
    return None if is_accepted else Outcome.REFUSED


_HASH: Final = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="


def make_lock_file(choices: Choices) -> bytes:
    lock = {"A": {"type": "Direct", "resolved": "1.0", "contentHash": _HASH}, "B": {"type": "Project"}}
    documents = (
        {"version": 1, "dependencies": {"net8.0": lock, "net9.0": lock}},
        {"version": 3, "libraries": {"A/1.0": {"type": "package", "sha512": _HASH}, "B/1": {"type": "project"}}},
    )
    if choices.chance(3):
        lines = choices.some(lambda: f"{package_id(choices)} {version(choices)} # {odd_text(choices)[:20]}", 5)
        return "\n".join(lines).encode("utf-8", "replace")
    return document_bytes(choices, documents)


def use_lock_file(content: bytes) -> None:
    wanted = read_wanted("packages.lock.json", content)
    assert len({each.identity for each in wanted}) == len(wanted)
    for each in wanted:
        again = read_wanted("list", f"{each.identity.id.text} {each.identity.version.full}".encode())
        assert [one.identity for one in again] == [each.identity]


def make_users(choices: Choices) -> str:
    users = [
        {"name": "alice", "administrator": True, "organizations": {"Contoso": "administrator"}},
        {"name": "bobby", "organizations": ["Contoso:collaborator", "Fabrikam"]},
        {"name": "carol"},
    ]
    if choices.chance(2):
        return document_bytes(choices, (users,)).decode("utf-8", "replace").replace("65536", "9" * 5_000)
    pieces = (
        "name",
        "administrator",
        "organizations",
        ",",
        ";",
        "\n",
        '"',
        "alice",
        "yes",
        "no",
        "A:administrator",
        "\r",
    )
    return "name,administrator\n" + "".join(choices.some(lambda: choices.one_of((*pieces, *ODD_CHARACTERS)), 14))


def use_users(text: str) -> Outcome | None:
    users, problems = read_users(text)
    lines = text.count("\n") + text.count("\r") + 1
    for problem in problems:
        check_sentence(str(problem))
        assert 1 <= problem.line <= lines
    for user in users:
        assert re.fullmatch(r"[A-Za-z0-9_.-]{3,64}", user.name)
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]{3,64}", name) for name in user.roles)
    return Outcome.REFUSED if problems else None


def make_manifest(choices: Choices) -> bytes:
    files = {name: {"size": 1, "sha512": "ab" * 64} for name in (MAIN, "hosted/a/1.0.0/a.nupkg", "mirror/x")}
    odd = choices.one_of(
        ("../x", "/etc/passwd", "hosted/../../x", "hosted\\..\\x", "other/x", "", "hosted", "hosted/\0")
    )
    if choices.chance(3):
        files[odd] = files["mirror/x"]
    return document_bytes(choices, ({"version": "1", "created": "x", "files": files, "damaged": ["a"], "format": 1},))


def use_manifest(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, FILE).write_bytes(content)
        try:
            manifest = Manifest.read(Path(folder))
        except InvalidRequest as refused:
            raise InvalidRequest(str(refused).replace(folder, "DIR")) from None
        for path, file in manifest.files.items():
            assert Path(folder, path).resolve().is_relative_to(folder)
            assert len(bytes.fromhex(file.sha512)) == 64
        manifest.write(Path(folder))
        assert Manifest.read(Path(folder)).files == manifest.files


TARGETS: Final = (
    Target("backup manifest", make_manifest, use_manifest, (InvalidRequest,)),
    Target("settings", make_settings, use_settings),
    Target("values of settings", make_values, use_values),
    Target("lock file", make_lock_file, use_lock_file, (InvalidRequest,)),
    Target("users to import", make_users, use_users),
)
