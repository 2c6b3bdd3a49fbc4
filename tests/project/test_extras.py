"""The embedded server runs without the extras."""

import subprocess
import sys

_LIBRARIES = "{'asyncpg', 'obstore'}"
_LOADED = (
    f"import sys, nugetproxy.cli.main, nugetproxy.runtime.assembly; print(*sorted({_LIBRARIES} & {{*sys.modules}}))"
)


def test_a_server_loads_nothing_of_the_extra_for_shared_storage():
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
