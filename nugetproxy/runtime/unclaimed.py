"""Packages that are kept and belong to no configured upstream: whoever starts should hear that they are not served."""

from pathlib import Path

from nugetproxy.config import Config


def unclaimed_mirrors(config: Config) -> tuple[str, ...]:
    """The names of upstreams, as folders below `mirror/`, that keep something and are not configured."""
    # Folders of two upstreams must differ on file systems that ignore case, too.
    names = {upstream.name.lower() for upstream in config.mirroring.upstream}
    try:
        folders = sorted((Path(config.storage.path) / "mirror").iterdir())
        others = [each for each in folders if each.name.lower() not in names and each.is_dir()]
        return tuple(each.name for each in others if any(each.iterdir()))
    except OSError:  # there is none yet, or the start is about to say why it cannot be read
        return ()


def what_to_configure(config: Config, name: str) -> str:
    """A sentence about one of them."""
    configured = ", ".join(upstream.name for upstream in config.mirroring.upstream)
    return (
        f"what is kept in {Path(config.storage.path) / 'mirror' / name} is not served: no upstream is called {name} "
        f"(there is {configured}). Give the --upstream URL or --config FILE that it was filled with"
    )
