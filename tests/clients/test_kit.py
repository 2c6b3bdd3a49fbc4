"""How the kit interprets the end of a client; needs no client."""

from pathlib import Path

import pytest

from tests.clients.kit import Run, Workplace

ABORT = "echo '* Assertion at mono-threads.c:2005, condition not met'; echo 'Native Crash Reporting'; exit 134"


def script(*lines: str) -> list[str]:
    return ["sh", "-c", "\n".join(["echo ran >>runs", *lines])]


@pytest.mark.parametrize(
    ("lines", "ended", "runs"),
    [
        (["echo fine"], Run(0, "fine\n"), 1),
        (["echo no; exit 1"], Run(1, "no\n"), 1),
        (["echo 'Your package was pushed.'", ABORT], Run(0, "Your package was pushed.\n"), 1),
        (['[ "$(wc -l <runs)" = 2 ] && echo fine && exit 0', "echo half", ABORT], Run(0, "fine\n"), 2),
        (["echo half", ABORT], Run(134, "half\n"), 3),
    ],
    ids=["success", "failure", "pushed", "once", "always"],
)
def test_a_runtime_that_aborts_says_nothing_of_the_client(tmp_path: Path, lines, ended, runs):
    ran = Workplace(tmp_path / "work", "http://127.0.0.1:9/")._run_mono(script(*lines), {}, tmp_path, 30)

    assert ran == ended
    assert (tmp_path / "runs").read_text().count("ran") == runs
