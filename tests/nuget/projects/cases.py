"""Repositories by name, each a few files: what people write in project files, one construct each."""

from tests.nuget.projects import cases_msbuild, cases_sdk

CASES = cases_msbuild.CASES | cases_sdk.CASES
