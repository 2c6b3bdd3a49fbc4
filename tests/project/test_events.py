"""docs/operations.md lists exactly the log events in the code, each with its level."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}

# Functions that take the name of an event and log it; `_event` prints the line of `serve` when it is ready.
INDIRECT = {"_event": "info", "_note_refusal": "error", "refused": "error", "Refusals": "info"}


def logged() -> dict[str, set[str]]:
    """The levels of every event that the code logs."""
    events: dict[str, set[str]] = {}
    for file in (ROOT / "nugetproxy").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            level = {**LEVELS, **INDIRECT}.get(called, "")
            if level and isinstance(node.args[0].value, str):
                events.setdefault(node.args[0].value, set()).add(level)
    return events


def documented() -> dict[str, set[str]]:
    section = (ROOT / "docs/operations.md").read_text().split("## Logs", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| .+ \|$", section, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "an event has two rows"
    return {event: set(levels.split(", ")) for event, levels in rows}


def test_only_the_module_of_the_log_knows_structlog():
    """
    Others take its `logger`: structlog takes longer to load than most commands run.
    """
    files = [*(ROOT / "nugetproxy").rglob("*.py")]
    importing = [file.name for file in files if re.search(r"^(import|from) structlog", file.read_text(), re.MULTILINE)]

    assert importing == []


def test_an_event_is_a_name_not_prose():
    """
    Searching the log and counting its lines needs a stable name.
    """
    assert [event for event in logged() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", event)] == []


def test_every_event_is_documented_with_its_level_and_no_other_is():
    assert logged() == documented()
