"""Alters every process of a node that has this folder in PYTHONPATH, before it runs.

$ALTERED_TIMING has the first four durations of `storage.fleet.rules.Timing`, in seconds: shorter ones make
partitions matter sooner. $ALTERED_FAULT breaks a promise, so that the checker can be seen to find it.
"""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def shorten(rules: ModuleType) -> None:
    given = os.environ.get("ALTERED_TIMING", "").split()
    if given:
        defaults = rules.Timing.__init__.__defaults__
        rules.Timing.__init__.__defaults__ = (*map(float, given), *defaults[len(given) :])


def break_promise(revisions: ModuleType) -> None:
    async def not_waiting(self, number: int, /) -> None: ...

    fault = os.environ.get("ALTERED_FAULT", "")
    if fault == "deaf":  # confirms changes without notifying its processes
        revisions.FleetRevisions.bump = lambda self, change: None
    elif fault == "hasty":  # answers without waiting for the other nodes
        revisions.FleetRevisions.seen_everywhere = not_waiting


_ALTERED = {
    "nugetproxy.storage.fleet.rules": shorten,
    "nugetproxy.storage.fleet.revisions": break_promise,
}


class _Altering:
    """Loads the modules to be altered as usual, and alters them then. Importing them here would be too early."""

    @staticmethod
    def find_spec(name: str, path=None, target=None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in _ALTERED else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_alter(module: ModuleType) -> None:
            load(module)
            _ALTERED[name](module)

        spec.loader.exec_module = load_and_alter  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Altering)
