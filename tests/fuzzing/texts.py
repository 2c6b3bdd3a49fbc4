"""Texts as packages, upstreams and clients write them, valid and invalid."""

from typing import Final

from tests.fuzzing.choices import Choices

ODD_CHARACTERS: Final = (
    *("\0", "\x01", "\t", "\n", "\r", "\x0b", "\x1c", "\x1f", " ", "\x7f", "\x80", "\x85", "\xa0", "\xad", "\xff"),
    *("İ", "ı", "ſ", "ß", "ǅ", "K", "é", "e\u0301", "漢", "\u200b", "\u200f", "\u2028", "\u2029", "\u202e", "\u3000"),
    *("\ufeff", "\ufffd", "\ufffe", "\uffff", "\U0001f600", "\U000e0041", "\U0010ffff", "٣", "³", "①", "．", "％"),
    *tuple("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
)
PLAIN_CHARACTERS: Final = tuple("abcXYZ0189.-_")
VERSION_CHARACTERS: Final = tuple("0123456789") + tuple(".-+*,[]() abRC")

NUMBERS: Final = ("0", "1", "2", "10", "00", "007", "2147483647", "2147483648", "4294967296", "9" * 20, "1" * 300)
LABELS: Final = (
    *("alpha", "Beta", "rc", "rc1", "rc-1", "preview", "0", "1", "01", "-1", "-", "--", "2147483648", "20240131123456"),
    *("a" * 64, "a" * 256, "", "a_b", "é"),
)


def odd_text(choices: Choices) -> str:
    """Any text: short, long, or with characters that some parsers read differently."""
    match choices.below(5):
        case 0:
            return ""
        case 1:
            return choices.text(PLAIN_CHARACTERS, 12)
        case 2:
            return choices.text(ODD_CHARACTERS, 6)
        case 3:
            return choices.text((*PLAIN_CHARACTERS, *ODD_CHARACTERS), 40)
    return choices.one_of((*PLAIN_CHARACTERS, *ODD_CHARACTERS)) * choices.one_of((64, 101, 256, 4_001, 70_000))


def package_id(choices: Choices) -> str:
    """Mostly a valid one."""
    match choices.below(8):
        case 0 | 1 | 2:
            return choices.one_of(
                ("Contoso.Utils", "contoso.utils", "CONTOSO.UTILS", "A", "Newtonsoft.Json", "a-b.c_d")
            )
        case 3 | 4:
            return ".".join(["Contoso", *choices.some(lambda: choices.text(PLAIN_CHARACTERS[:6], 5) or "X", 3)])
        case 5:
            return "Contoso." + choices.one_of(ODD_CHARACTERS) + choices.text(PLAIN_CHARACTERS, 3)
        case 6:
            return "a" * choices.one_of((1, 99, 100, 101, 128, 300))
    return odd_text(choices)


def version(choices: Choices) -> str:
    """Mostly a valid one, often equal to another of its kind or next to it."""
    match choices.below(8):
        case 0:
            return choices.text(VERSION_CHARACTERS, 14)
        case 1:
            return choices.one_of(("1.0", "1.0.0", "1.0.0.0", "01.0.00", " 1.0.0", "1.0.0-rc", "1.0.0-RC", "1.0.0+x"))
        case 2:
            return odd_text(choices)
    text = ".".join(choices.one_of(NUMBERS[: choices.one_of((3, 3, 3, 11))]) for _ in range(1 + choices.below(4)))
    if choices.chance(3):
        text += "-" + ".".join([choices.one_of(LABELS), *choices.some(lambda: choices.one_of(LABELS), 3)])
    if choices.chance(6):
        text += "+" + ".".join([choices.one_of(LABELS), *choices.some(lambda: choices.one_of(LABELS), 2)])
    return text


def version_range(choices: Choices) -> str:
    match choices.below(8):
        case 0:
            return version(choices)
        case 1:
            return choices.text(VERSION_CHARACTERS, 20)
        case 2:
            return choices.one_of(
                ("", " ", "*", "1.*", "1.0.*-*", "[1.*, 2.0)", "*-rc.*", "(, )", "(,)", "[15.106.0.p]")
            )
        case 3:
            return odd_text(choices)
    lower, upper = version(choices), version(choices)
    between = choices.one_of((",", ", ", " , "))
    if choices.chance(4):
        lower = ""
    if choices.chance(3):
        upper = ""
    return f"{choices.one_of('[(')}{lower}{between}{upper}{choices.one_of(')]')}"


def framework(choices: Choices) -> str:
    match choices.below(4):
        case 0:
            return odd_text(choices)
        case 1:
            return choices.one_of(("net", "netstandard", "netcoreapp", ".NETFramework", "portable-", "uap", "sl")) + (
                choices.text(VERSION_CHARACTERS, 8)
            )
    return choices.one_of(
        (
            *("", "any", "net45", "net8.0", "net8.0-windows7.0", "netstandard2.0", ".NETStandard2.0", "uap10.0"),
            *(".NETFramework4.6.1", ".NETFramework,Version=v4.5", "portable-net45+win8", "NET8.0", "unsupported"),
            *("net4294967296", ".NETPortable,Version=v0.0,Profile=Profile259", "native", "net8.0-ios"),
        )
    )


def moment(choices: Choices) -> str:
    return choices.one_of(
        (
            *("2024-01-02T03:04:05.1234567+00:00", "2024-01-02T03:04:05Z", "1900-01-01T00:00:00+00:00", "2024-01-02"),
            *(
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59.9999999-14:00",
                "2024-13-01T00:00:00Z",
                "2024-01-02T25",
            ),
            *("20240102T030405Z", "2024-W01-1", "-0001-01-01T00:00:00Z", "2024-01-02T03:04:05+99:99", "now", ""),
        )
    )


def address(choices: Choices) -> str:
    """A URL as it may stand in a document."""
    return choices.one_of(
        (
            *("https://up.example/v3/x.json", "http://127.0.0.1/", "HTTPS://UP.example:443/a/", "//up.example/x"),
            *("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://up.example/", "/relative", ""),
            *("https://", "https://[::1", "https://up.example/a#b?c", "https://user:secret@up.example/", "http://\0/"),
            *(
                "https://up.example/" + "a" * 5_000,
                "https://up.example/é",
                "https://xn--/",
                "https://up.example:99999/",
            ),
        )
    )
