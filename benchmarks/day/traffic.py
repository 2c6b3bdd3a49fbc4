"""The requests of the company's builds, modelled on recorded restores, as one long list."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.day.world import Popularity, World

IDS_OF_A_RESTORE: Final = 40
CONDITIONAL: Final = 0.5
"""Share of lists: agents that keep their HTTP cache ask again with If-None-Match."""
REGISTRATIONS: Final = 0.2
PACKAGES: Final = 1 / 3
"""Agents with empty package folders."""
SEARCHES: Final = 0.1
"""Per restore: searches by people at the same time."""
WITH_CREDENTIALS: Final = 0.05

_WORDS: Final = ("json", "http", "logging", "cloud", "data")


@dataclass(frozen=True)
class Asked:
    """`is_conditional`: with the entity tag that this server sent. `names_itself`: with credentials."""

    kind: str
    target: str
    is_conditional: bool = False
    names_itself: bool = False


def traffic(world: World, restores: int) -> list[Asked]:
    """The requests of this many restores, interleaved eight at a time, as a server sees them."""
    choose = random.Random(f"traffic {world.seed}")
    kept: dict[str, list[str]] = {}
    for package in world.on_disk:
        kept.setdefault(package.lower_id, []).append(package.version)
    popularity = Popularity(world.ids)
    made = [list(_restore(world, kept, popularity, choose)) for _ in range(restores)]
    mixed: list[Asked] = []
    for at in range(0, len(made), 8):
        several = [iter(each) for each in made[at : at + 8]]
        while several:
            one = choose.choice(several)
            following = next(one, None)
            if following is None:
                several.remove(one)
            else:
                mixed.append(following)
    return mixed


def _restore(
    world: World, kept: dict[str, list[str]], popularity: Popularity, choose: random.Random
) -> Iterator[Asked]:
    known = choose.random() < WITH_CREDENTIALS
    yield Asked("service index", "/v3/index.json", names_itself=known)
    yield Asked("vulnerabilities", "/v3/vulnerabilities/index.json", names_itself=known)
    yield Asked("vulnerabilities", "/v3/vulnerabilities/base.json", names_itself=known)
    if choose.random() < SEARCHES:
        yield Asked("search", f"/v3/query?q={choose.choice(_WORDS)}&take=20&prerelease=false&semVerLevel=2.0.0")
    for _ in range(IDS_OF_A_RESTORE):
        name = world.names[popularity.pick(choose)]
        target = f"/v3/flatcontainer/{name}/index.json"
        yield Asked("list", target, is_conditional=choose.random() < CONDITIONAL, names_itself=known)
        if choose.random() < REGISTRATIONS:
            yield Asked("registration", f"/v3/registration-gz-semver2/{name}/index.json", names_itself=known)
        if name in kept and choose.random() < PACKAGES:
            version = choose.choice(kept[name])
            target = f"/v3/flatcontainer/{name}/{version}/{name}.{version}.nupkg"
            yield Asked("package", target, names_itself=known)
