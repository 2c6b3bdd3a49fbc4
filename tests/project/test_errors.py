"""Every error class has one row in the table of HTTP statuses, and nothing else does."""

import inspect

from nugetproxy import errors
from nugetproxy.web.http.errors import TABLE

# The base is never raised; the others occur at startup, before there are clients.
NEVER_ANSWERED = {errors.NugetproxyError, errors.ConfigError, errors.DataOfAnotherVersion}

CLASSES = {
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.NugetproxyError)
} - NEVER_ANSWERED


def test_every_error_class_has_a_row():
    """
    A class without a row would be answered as an internal error.
    """
    assert set() == CLASSES - TABLE.keys()


def test_every_row_has_a_class_of_errors_py():
    """
    A row without a class is left over from a removed one.
    """
    assert set() == TABLE.keys() - CLASSES


def test_an_upstreams_failure_is_never_not_found():
    """
    A 404 is final to clients: they would report a package as missing because an upstream is down.
    """
    failures = [kind for kind in CLASSES if issubclass(kind, errors.UpstreamError)]

    assert all(500 <= TABLE[kind].status < 600 for kind in failures)
