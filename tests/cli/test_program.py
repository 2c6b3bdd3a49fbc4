"""How hints name the program that prints them."""

import pytest

from nugetproxy.cli.program import program


@pytest.fixture
def scripts(tmp_path):
    for folder in ("one", "two", "with blank"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "nugetproxy").touch()
    return tmp_path


def test_a_program_that_the_shell_finds_has_its_bare_name(scripts):
    (scripts / "link").symlink_to(scripts / "one")

    assert program([f"{scripts}/link/nugetproxy"], [], lambda _: f"{scripts}/one/nugetproxy") == "nugetproxy"


@pytest.mark.parametrize("found", [None, "two/nugetproxy"])
def test_one_that_it_does_not_find_is_named_as_typed(scripts, monkeypatch, found):
    """
    In a virtual environment that is not active, the shell may find another nugetproxy, of another version.
    """
    monkeypatch.chdir(scripts)

    assert program(["one/nugetproxy", "serve"], [], lambda _: found) == "one/nugetproxy"


def test_it_is_quoted_for_a_shell(scripts):
    assert program([f"{scripts}/with blank/nugetproxy"], [], lambda _: None) == f"'{scripts}/with blank/nugetproxy'"


def test_a_module_is_run_as_one():
    typed = [".venv/bin/python", "-m", "nugetproxy", "serve"]

    assert program(["/lib/nugetproxy/__main__.py", "serve"], typed) == ".venv/bin/python -m nugetproxy"


def test_another_program_that_runs_the_commands_is_not_named():
    assert program(["/usr/bin/pytest"], []) == "nugetproxy"
