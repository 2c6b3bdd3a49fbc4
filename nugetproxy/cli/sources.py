"""The options of commands that take sources: which frameworks and runtimes their packages are resolved for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from nugetproxy.cli.options import Command
from nugetproxy.cli.output import note
from nugetproxy.errors import InvalidRequest

if TYPE_CHECKING:
    from nugetproxy.mirroring.prewarm.plan import Extras
    from nugetproxy.nuget.framework import Framework
    from nugetproxy.nuget.projects.sources import Options, Sources


def source_options(command: Command) -> Command:
    """--package --framework --rid --sdk --property"""
    for option in (
        click.option("-p", "--property", "properties", multiple=True, metavar="NAME=VALUE",
                     help="An MSBuild property of the projects. Repeatable."),
        click.option("--sdk", metavar="VERSION|DIR", default="",
                     help="The .NET SDK that restores: it adds packages of its own.  [default: the newest known]"),
        click.option("--rid", "runtimes", multiple=True, metavar="RID",
                     help="Also resolve for this runtime, such as linux-x64. Repeatable."),
        click.option("--framework", "frameworks", multiple=True, metavar="TFM",
                     help="Resolve lines of lists for this framework. Repeatable.  [default: net10.0]"),
        click.option("--package", "packages", multiple=True, metavar="'ID VERSION'",
                     help="A package, as in a line of a list. Repeatable."),
    ):  # fmt: skip
        command = option(command)
    return command


class SourceOptions:
    """What these options say; `words` are the options as given, for a shell. Methods raise InvalidRequest."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._frameworks = tuple(map(_framework, options["frameworks"]))
        self._runtimes = tuple(options["runtimes"])
        self._properties = dict(map(_property, options["properties"]))
        self._packages = tuple(options["packages"])
        self._sdk = str(options["sdk"])
        named = {"package": "packages", "framework": "frameworks", "rid": "runtimes", "property": "properties"}
        self.words = [f"--{name} {quote(text)}" for name, key in named.items() for text in options[key]]
        self.words += [f"--sdk {quote(self._sdk)}"] if self._sdk else []

    def read(self, paths: Sequence[Path]) -> "Sources":
        from nugetproxy.nuget.projects.sources import read_sources

        if not paths and not self._packages:
            raise InvalidRequest("name a SOURCE or a --package")
        found = read_sources(paths, self._options(), self._packages)
        for each in found.outside:
            note(f"also read, although it is outside the sources: {each}")
        return found

    def extras(self, latest_patch: bool = False, newest: int = 0, all_versions: tuple[str, ...] = ()) -> "Extras":
        from nugetproxy.mirroring.prewarm.plan import Extras
        from nugetproxy.nuget.globs import checked_glob

        globs = tuple(map(checked_glob, all_versions))
        return Extras(latest_patch, newest, globs, self._frameworks, self._runtimes)

    def _options(self) -> "Options":
        from nugetproxy.nuget.closure.sdk_folder import find_facts
        from nugetproxy.nuget.projects.sources import Options

        return Options(self._frameworks, self._runtimes, self._properties, find_facts(self._sdk))


def _framework(text: str) -> "Framework":
    from nugetproxy.nuget.framework import find_framework

    framework = find_framework(text)
    if framework is None:
        raise InvalidRequest(f"--framework: {text!r} is not a target framework; expected one such as net10.0")
    return framework


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise InvalidRequest(f"--property: expected NAME=VALUE, found {text!r}")
    return name.strip(), value
