"""
Stored content that will not be served, because the settings name other upstreams than those that filled the
directory.
"""

from pathlib import Path

from nugetproxy.config import Config, UpstreamSettings
from nugetproxy.config.shown import masked
from nugetproxy.config.upstream_names import upstream_name
from nugetproxy.runtime.known_upstreams import known
from nugetproxy.storage.data_directory import MIRROR


def unclaimed_mirrors(config: Config) -> tuple[str, ...]:
    """The names of folders below `mirror/` that are not empty and whose upstream is not configured."""
    # Folders of two upstreams must differ even on file systems that ignore case.
    names = {upstream.name.lower() for upstream in config.mirroring.upstream}
    try:
        folders = sorted((Path(config.storage.path) / MIRROR).iterdir())
        others = [each for each in folders if each.name.lower() not in names and each.is_dir()]
        return tuple(each.name for each in others if any(each.iterdir()))
    except OSError:  # there is none yet, or the start is about to report why it cannot be read
        return ()


def what_to_configure(config: Config, name: str) -> str:
    """The message about one of them."""
    configured = ", ".join(upstream.name for upstream in config.mirroring.upstream)
    noted = next((each for each in known(Path(config.storage.path)) if each.name.lower() == name.lower()), None)
    return (
        f"the content of {Path(config.storage.path) / MIRROR / name} is not served: no upstream is named {name} "
        f"(configured: {configured}). {_remedy(noted)}"
    )


def moved_upstreams(config: Config) -> tuple[str, ...]:
    """A message for each configured upstream that had another address when the directory was filled."""
    noted = {each.name.lower(): each.service_index for each in known(Path(config.storage.path))}
    return tuple(
        f"the upstream {each.name} was {_shown(before)} before and is {_shown(each.service_index)} now: its packages "
        "are served, but documents stored under the old address are not"
        for each in config.mirroring.upstream
        if (before := noted.get(each.name.lower(), each.service_index)) != each.service_index
    )


def _remedy(noted: UpstreamSettings | None) -> str:
    if noted is None:
        return "Use the --upstream URL or --config FILE that it was filled with"
    if upstream_name(noted.service_index) == noted.name:
        return f"Use --upstream {_shown(noted.service_index)}"
    return f'Configure an upstream with name = "{noted.name}" and service_index = "{_shown(noted.service_index)}"'


def _shown(url: str) -> str:
    return masked("service_index", url).strip('"')
