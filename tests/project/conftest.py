import pytest

from nugetproxy.config import load
from nugetproxy.errors import ConfigError


@pytest.fixture
def problems(tmp_path):
    """Call with the text of a file, an environment or overrides; returns what `load` reports, one problem per line."""

    def complaints(text: str = "", environ: dict[str, str] | None = None, **overrides: object) -> str:
        file = tmp_path / "nugetproxy.toml"
        file.write_text(text)
        try:
            load(file, environ or {}, {key.replace("__", "."): value for key, value in overrides.items()})
        except ConfigError as refused:
            return "\n".join(refused.problems).replace(str(tmp_path) + "/", "")
        return ""

    return complaints
