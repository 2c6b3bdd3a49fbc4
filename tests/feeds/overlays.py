"""Overlays of two scripted feeds, for tests."""

from typing import Any

from nugetproxy.feeds.overlay import Overlay
from nugetproxy.nuget.identity import PackageId
from tests.feeds.scripted import ScriptedFeed

PRIVATE = PackageId.parse("contoso.core")
PUBLIC = PackageId.parse("Serilog")


def an_overlay(
    hosted: dict[str, list[str]], below: dict[str, list[str]], *merged: str, burnt: tuple[str, ...] = ()
) -> tuple[Overlay, ScriptedFeed, ScriptedFeed]:
    ours, theirs = ScriptedFeed("hosted", hosted, burnt=burnt), ScriptedFeed("below", below)
    return Overlay(ours, theirs, frozenset(merged).__contains__), ours, theirs


def texts(versions: Any) -> list[str]:
    return [version.normalized for version in versions]


def ids(page: Any) -> list[str]:
    return [hit.id for hit in page.hits]
