"""nugetproxy prewarm as a process: what goes to which stream, and how it ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

IMPATIENT = """
[mirroring]
[[mirroring.upstream]]
name = "away"
service_index = "http://127.0.0.1:{port}/v3/index.json"
patience = "100ms"
[logs]
format = "json"
level = "{level}"
"""


def prewarm(folder: Path, content: str, level: str = "info") -> subprocess.CompletedProcess[str]:
    """Over an upstream that refuses connections."""
    (folder / "wanted.txt").write_text(content)
    (folder / "n.toml").write_text(IMPATIENT.format(port=free_port(), level=level))
    command = [sys.executable, "-m", "nugetproxy", "prewarm", "--config", "n.toml", "--data", "kept", "wanted.txt"]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=60, check=False
    )


def test_standard_output_holds_the_summary_alone(tmp_path):
    ended = prewarm(tmp_path, "Serilog 4.0.0\n")

    assert ended.returncode == 1
    assert ended.stdout.count("\n") == 1
    assert ended.stdout.startswith("1 packages wanted: 0 kept before, 0 fetched")
    assert "could not be had: Serilog 4.0.0: " in ended.stderr


@pytest.mark.parametrize(("level", "is_told"), [("info", False), ("debug", True)])
def test_the_log_has_the_format_of_the_settings_and_tells_no_failure_twice(tmp_path, level, is_told):
    ended = prewarm(tmp_path, "Serilog 4.0.0\n", level)

    events = [json.loads(line)["event"] for line in ended.stderr.splitlines() if line.startswith("{")]
    assert ("fetch_failed" in events) == is_told


def test_a_line_that_cannot_be_read_is_named_once(tmp_path):
    ended = prewarm(tmp_path, "Serilog 4.0.0\nSerilog one\n")

    assert ended.returncode == 2
    assert ended.stderr.startswith("nugetproxy: wanted.txt, line 2: ")
    assert ended.stdout == ""
