"""nuget.config: which package sources it names. For information only: nothing here contacts them."""

from nugetproxy.nuget.projects.findings import Found, Options
from nugetproxy.nuget.projects.markup import named, read_xml, value_of


def read_nuget_config(name: str, data: bytes, _: Options, found: Found) -> None:
    """Raises InvalidRequest with file and line."""
    for section in named(read_xml(name, data), "packageSources"):
        for source in named(section, "add"):
            if value := value_of(source, "value"):
                found.feeds[value] = None
