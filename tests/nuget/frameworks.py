"""Frameworks in the forms that packages and projects write, made from a seed."""

import random

from nugetproxy.nuget.framework import PORTABLE_PROFILES, Framework, find_framework
from nugetproxy.nuget.framework_support import canonical, supports

_STANDARDS = "1.0 1.1 1.2 1.3 1.4 1.5 1.6 1.7 2.0 2.1 "
_FULL = "11 20 35 40 403 45 451 452 46 461 462 463 47 471 472 48 481 "
_PLATFORMS = (
    "windows windows7.0 windows8.0 windows10.0.19041 windows10.0.17763 windows10.0.22621.0 android android21.0 "
    "android31.0 android35.0 ios ios15.0 ios17.2 maccatalyst maccatalyst14.0 macos macos12.0 tvos15.0 tizen "
    "tizen7.0 browser1.0"
)
_OLD = (
    "win win8 win81 win10 netcore netcore45 netcore451 netcore50 winrt winrt45 uap uap10.0 uap10.0.14393 "
    "uap10.0.15064 uap10.0.16299 wp wp7 wp71 wp75 wp8 wp81 wpa wpa81 sl3 sl4 sl5 sl3-wp sl4-wp71 sl4-wp sl8-wp "
    "sl81-wp dnx dnx45 dnx451 dnx46 dnxcore dnxcore50 aspnet aspnet50 aspnetcore aspnetcore50 dotnet dotnet5.0 "
    "dotnet5.1 dotnet5.2 dotnet5.3 dotnet5.4 dotnet5.5 dotnet5.6 netstandardapp1.5 netstandardapp tizen "
    "tizen30 tizen40 tizen60 tizen70 monoandroid monoandroid10 monoandroid81 monoandroid12.0 monotouch "
    "monotouch10 monomac xamarinios xamarinios10 xamarinmac xamarinmac20 xamarintvos xamarinwatchos "
    "xamarinpsthree xamarinpsvita xamarinxboxone xamarinxboxthreesixty native netmf netmf44 netnano1.0 any "
    "agnostic unsupported wp81-made"
)
_MEMBERS = (
    "net45 net40 win8 win81 wp8 wpa81 sl5 sl4 net46 monoandroid monotouch xamarinios uap10.0 win netcore45 wp7 "
    "netstandard1.1"
)


def name(chance: random.Random) -> str:
    kind = chance.choices(
        ["net", "platform", "core", "standard", "full", "portable", "old"], [14, 16, 6, 10, 14, 15, 25]
    )
    match kind[0]:
        case "net":
            return "net" + chance.choice(["5.0", "6.0", "7.0", "8.0", "9.0", "10.0", "11.0"])
        case "platform":
            return f"net{chance.choice(['5.0', '6.0', '8.0', '9.0', '10.0'])}-{chance.choice(_PLATFORMS.split())}"
        case "core":
            return "netcoreapp" + chance.choice(["1.0", "1.1", "2.0", "2.1", "2.2", "3.0", "3.1", ""])
        case "standard":
            return "netstandard" + chance.choice(_STANDARDS.split(" "))
        case "full":
            version = chance.choice(_FULL.split(" "))
            return f"net{version}{chance.choice(['', '', '', '', '-client', '-full', '-cf', '-made'])}"
        case "portable":
            members = chance.choice(list(PORTABLE_PROFILES.values()))
            if chance.random() < 0.2:
                members = "+".join(chance.sample(_MEMBERS.split(), chance.randint(1, 4)))
            return f"portable-{members}{chance.choice(['', '', '', '+monoandroid+monotouch', '+xamarinios'])}"
        case _:
            return chance.choice(_OLD.split())


def meaning(text: str) -> Framework:
    return canonical(find_framework(text) or Framework("Unsupported"))


def pairs(seed: int, count: int) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    return [(name(chance), name(chance)) for _ in range(count)]


def choices(seed: int, count: int) -> list[tuple[str, list[str]]]:
    """Projects and what a package offers them: half of it by chance, half so that everything fits."""
    chance = random.Random(seed)
    made: list[tuple[str, list[str]]] = []
    while len(made) < count:
        project = name(chance)
        if find_framework(project) is None:
            continue
        offered = [name(chance) for _ in range(chance.randint(2, 10))]
        if len(made) % 2:
            fitting = [each for _ in range(150) if supports(meaning(project), meaning(each := name(chance)))]
            offered = chance.sample(fitting, min(len(fitting), chance.randint(2, 8)))
        if offered:
            made.append((project, offered))
    return made
