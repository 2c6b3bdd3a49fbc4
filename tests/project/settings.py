"""The settings, for tests of them."""

from nugetproxy.config import Config, load


def loaded(environ: dict[str, str] | None = None, **overrides: object) -> Config:
    return load(None, environ or {}, {key.replace("__", "."): value for key, value in overrides.items()})
