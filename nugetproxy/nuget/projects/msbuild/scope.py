"""What names stand for while a project is evaluated: properties, reserved ones, and functions that look at files."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Final

from nugetproxy.nuget.projects.files import Files
from nugetproxy.nuget.projects.msbuild.values import Item, Text, unescaped
from nugetproxy.nuget.projects.texts import one_line

_ENVIRONMENT: Final = re.compile(r"[A-Z][A-Z0-9_]+")
"""Names that by custom are environment variables: `CI`, `GITHUB_ACTIONS`. Others are taken as not set."""

_LONGEST_TEXT: Final = 100_000
_ASKS_FOR_A_SYSTEM: Final = frozenset(
    {"msbuild::isosplatform", "system.runtime.interopservices.runtimeinformation::isosplatform"}
)
_SYSTEMS: Final = {f"system.operatingsystem::is{name}": name for name in ("windows", "linux", "macos", "freebsd")}
_ON_THE_MACHINE: Final = "{} depends on the machine that restores; taken as {!r}"


class PropertyScope:
    """The properties of one evaluation, and the file whose text is evaluated (`enter`)."""

    OF_THE_SDK: Final = "/-sdk-/"
    """Where `$(MSBuildToolsPath)` and the like lead: imports from there are not read."""

    def __init__(self, path: str, files: Files, given: Mapping[str, str], properties: dict[str, Text]) -> None:
        self._files = files
        self._project = path
        self._properties = properties
        self._given = {name.lower(): Text(value) for name, value in given.items()}
        self._this = path
        self._items: Mapping[str, Sequence[Item]] | None = None
        self._item: Item | None = None
        folder = posixpath.dirname(path)
        name = posixpath.basename(path)
        stem, extension = posixpath.splitext(name)
        self._reserved = {
            "msbuildprojectdirectory": folder,
            "msbuildprojectdirectorynoroot": folder.lstrip("/"),
            "msbuildprojectfile": name,
            "msbuildprojectname": stem,
            "msbuildprojectextension": extension,
            "msbuildprojectfullpath": path,
            "msbuildstartupdirectory": folder,
            "msbuildversion": "18.9.11",
            "msbuildassemblyversion": "15.1",
            "msbuildfileversion": "18.9.11",
            "msbuildruntimetype": "Core",
            "msbuildtoolsversion": "Current",
            "msbuildisrestoring": "true",
            "excluderestorepackageimports": "true",
            "visualstudioversion": "18.0",
            "msbuildextensionspath": self.OF_THE_SDK,
            "msbuildextensionspath32": self.OF_THE_SDK,
            "msbuildextensionspath64": self.OF_THE_SDK,
            "msbuildtoolspath": self.OF_THE_SDK,
            "msbuildtoolspath32": self.OF_THE_SDK,
            "msbuildtoolspath64": self.OF_THE_SDK,
            "msbuildbinpath": self.OF_THE_SDK,
            "msbuildsdkspath": self.OF_THE_SDK,
            "vstoolspath": self.OF_THE_SDK,
            "netcoreroot": self.OF_THE_SDK,
        }
        properties.update(self._given)

    def enter(self, path: str) -> str:
        """From now on, `MSBuildThisFile` is this file. Returns the file before."""
        before, self._this = self._this, path
        return before

    def with_items(self, items: Mapping[str, Sequence[Item]] | None) -> None:
        """From now on items are known."""
        self._items = items

    def with_item(self, item: Item | None) -> None:
        """From now on `%(Name)` is metadata of this item."""
        self._item = item

    def set(self, name: str, value: Text, *, only_if_empty: bool = False) -> None:
        """Set a property, unless it was given from outside or is reserved."""
        lower = name.lower()
        if lower in self._given or lower in self._reserved or (only_if_empty and self.property(name).value):
            return
        self._properties[lower] = value

    def property(self, name: str) -> Text:
        lower = name.lower()
        found = self._properties.get(lower)
        if found is not None:
            return found
        if lower in self._reserved:
            return Text(self._reserved[lower])
        if lower.startswith("msbuildthisfile"):
            return Text(self._this_file(lower))
        if lower == "os":
            return Text("Unix", (_ON_THE_MACHINE.format("$(OS)", "Unix"),))
        if lower in ("netcoresdkportableruntimeidentifier", "netcoresdkruntimeidentifier"):
            return Text("linux-x64", (_ON_THE_MACHINE.format(f"$({name})", "linux-x64"),))
        if _ENVIRONMENT.fullmatch(name):
            return Text("", (f"$({name}) looks like an environment variable; taken as not set",))
        return Text("")

    def items(self, name: str) -> Sequence[Item] | None:
        return None if self._items is None else self._items.get(name.lower(), ())

    def metadata(self, name: str) -> Text | None:
        if self._item is None:
            return None
        if name.lower() == "identity":
            return Text(self._item.spec)
        return self._item.metadata.get(name.lower(), Text(""))

    def exists(self, path: str) -> bool:
        """For `Exists` in conditions of properties and items: relative to the project."""
        return self._exists(path, posixpath.dirname(self._project))

    def exists_here(self, path: str) -> bool:
        """For `Exists` in conditions of imports and property groups: relative to the file that has them."""
        return self._exists(path, posixpath.dirname(self._this))

    def _exists(self, path: str, folder: str) -> bool:
        if not path.strip():
            return False
        whole = self._whole(path, folder)
        return self._files.is_file(whole) or self._files.is_folder(whole)

    def function(self, name: str, arguments: Sequence[str]) -> Text | None:
        """A function that looks at files, or at the machine; None if the name is not one of them."""
        own = posixpath.dirname(self._project)
        first, second = [*arguments, "", ""][:2]
        if name == "msbuild::getpathoffileabove":
            return Text(self._above(first, second or posixpath.dirname(self._this)))
        if name == "msbuild::getdirectorynameoffileabove":
            return Text(posixpath.dirname(self._above(second, first)))
        if name == "system.io.file::exists":
            return Text(str(self._files.is_file(self._whole(first, own))))
        if name == "system.io.directory::exists":
            return Text(str(self._files.is_folder(self._whole(first, own))))
        if name == "system.io.file::readalltext":
            content = self._files.read(self._whole(first, own)) or b""
            return Text(content[:_LONGEST_TEXT].decode("utf-8", "replace"))
        if name == "system.io.path::getfullpath":
            return Text(self._whole(first, own))
        if name in ("msbuild::normalizepath", "msbuild::normalizedirectory"):
            joined = posixpath.join(own, *(each.replace("\\", "/") for each in arguments))
            return Text(posixpath.normpath(joined) + ("/" if name.endswith("directory") else ""))
        if name == "msbuild::getregistryvalue":
            return Text("")
        if name == "system.environment::getenvironmentvariable":
            return Text("", (f"the environment variable {one_line(first)} is not known; taken as not set",))
        return self._of_the_machine(name, first)

    def _of_the_machine(self, name: str, argument: str) -> Text | None:
        system = self.property("OS")
        is_windows = system.value.lower() == "windows_nt"
        if name == "msbuild::isosunixlike":
            return Text(str(not is_windows), system.doubts)
        asked = _SYSTEMS.get(name) or (argument.lower().rpartition(".")[2] if name in _ASKS_FOR_A_SYSTEM else None)
        if asked is None:
            return None
        return Text(str(asked == ("windows" if is_windows else "linux")), system.doubts)

    def _above(self, name: str, start: str) -> str:
        folder = self._whole(start, posixpath.dirname(self._project))
        if not name.strip() or "/" in name or "\\" in name:
            return ""
        while True:
            candidate = posixpath.join(folder, name.strip())
            if self._files.is_file(candidate):
                return candidate
            if folder in ("/", ""):
                return ""
            folder = posixpath.dirname(folder)

    def _whole(self, path: str, folder: str) -> str:
        return posixpath.normpath(posixpath.join(folder, unescaped(path.strip()).replace("\\", "/")))

    def _this_file(self, lower: str) -> str:
        folder = posixpath.dirname(self._this)
        with_slash = folder if folder.endswith("/") else folder + "/"
        stem, extension = posixpath.splitext(posixpath.basename(self._this))
        return {
            "msbuildthisfile": stem + extension,
            "msbuildthisfilename": stem,
            "msbuildthisfileextension": extension,
            "msbuildthisfilefullpath": self._this,
            "msbuildthisfiledirectory": with_slash,
            "msbuildthisfiledirectorynoroot": with_slash.lstrip("/"),
        }.get(lower, "")
