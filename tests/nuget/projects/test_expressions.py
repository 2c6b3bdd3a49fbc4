"""A value is that of MSBuild, or in doubt: never silently another."""

import json
from pathlib import Path

import pytest

from nugetproxy.nuget.projects.files import Disk
from nugetproxy.nuget.projects.msbuild.evaluation import Documents, Evaluation, evaluate
from nugetproxy.nuget.projects.msbuild.values import unescaped
from tests.nuget.projects.expressions import CONDITIONS, EXPRESSIONS, RECORDED, names, without_folder, write_project

_RECORDED = json.loads(RECORDED.read_text())
_TEXTS = {name: f"{name[0]} {text}" for name, text in zip(names(), EXPRESSIONS + CONDITIONS, strict=True)}
_MOST_IN_DOUBT = 20
"""How many of them may be in doubt: a reading that doubts everything is right, and useless."""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluation]:
    folder = tmp_path_factory.mktemp("expressions")
    path = write_project(folder)
    return folder, evaluate(str(path), Documents(Disk([folder])), {})


@pytest.mark.parametrize("name", names())
def test_a_value_is_that_of_msbuild_or_in_doubt(name, evaluated):
    folder, evaluation = evaluated
    found = evaluation.properties.get(name.lower())
    value = "" if found is None else without_folder(unescaped(found.value), folder)

    assert value == _RECORDED[_TEXTS[name]] or evaluation.doubts(name), _TEXTS[name]


def test_few_are_in_doubt(evaluated):
    assert sum(bool(evaluated[1].doubts(name)) for name in names()) <= _MOST_IN_DOUBT
