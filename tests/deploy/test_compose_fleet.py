"""The compose files: the Compose Specification accepts them, and what they carry is accepted by those who read it."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from nugetproxy.config.reading import load
from tests.deploy.test_shipped_files import run, tool

pytestmark = pytest.mark.tools

DOCKER: Final = Path(__file__).resolve().parents[2] / "deploy" / "docker"
FILES: Final = sorted(file.name for file in DOCKER.glob("compose*.yaml"))
FLEET: Final[dict[str, Any]] = yaml.safe_load((DOCKER / "compose.fleet.yaml").read_text())
SERVICES: Final[dict[str, Any]] = FLEET["services"]
NODES: Final = ("node1", "node2")


def test_they_follow_the_compose_specification() -> None:
    files = [str(DOCKER / name) for name in FILES]
    ended = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *files)
    assert len(files) == 2
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_fleet_consists_of_what_it_should() -> None:
    """
    Images have a version, files and volumes are there, and every log is bounded.
    """
    assert set(SERVICES) == {*NODES, "nginx", "postgres", "seaweedfs", "bucket"}
    for name, service in SERVICES.items():
        assert service["logging"]["options"]["max-size"], name
        if "build" not in service:
            assert re.search(r":\d[\d.]*$", service["image"]), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in FLEET["volumes"], name
        assert set(service.get("secrets", ())) <= set(FLEET["secrets"])
        for other in service.get("depends_on", ()):
            # The image of the nodes has a check of its own, and `bucket` ends.
            assert other in (*NODES, "bucket") or "healthcheck" in SERVICES[other]


def test_only_nginx_is_open_to_the_network() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]


@pytest.mark.parametrize("name", NODES)
def test_nodes_accept_their_settings_and_are_closed(name: str, tmp_path: Path) -> None:
    node = SERVICES[name]
    environ: dict[str, str] = node["environment"]
    files = {value for value in environ.values() if value.startswith("/run/secrets/")}
    assert {Path(file).name for file in files} == set(node["secrets"])
    for file in files:
        (tmp_path / Path(file).name).write_text("secret\n")
    read = load(None, {key: value.replace("/run/secrets/", f"{tmp_path}/") for key, value in environ.items()})

    assert read.storage.kind == "shared"
    # Whose X-Forwarded-For is believed: that of nginx and of nobody else.
    front = SERVICES["nginx"]["networks"]["fleet"]["ipv4_address"]
    assert [str(each).removesuffix("/32") for each in read.server.trusted_proxies] == [front]
    assert int(node["stop_grace_period"].removesuffix("s")) > read.server.stop_timeout
    assert (node["read_only"], node["cap_drop"]) == (True, ["ALL"])


def test_nodes_differ_in_nothing_but_their_place() -> None:
    one, two = (dict(SERVICES[name]) for name in NODES)
    for key in ("volumes", "networks"):
        assert one.pop(key) != two.pop(key)
    assert one == two


def test_nginx_accepts_its_settings(tmp_path: Path) -> None:
    """
    And sends requests to every node.
    """
    text = (DOCKER / "fleet.nginx.conf").read_text()
    assert set(re.findall(r"server (\w+):8550 ", text)) == set(NODES)
    for name in NODES:
        text = text.replace(f"server {name}:", "server 127.0.0.1:")
    places = "".join(
        f"{each}_temp_path {tmp_path}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid; error_log stderr;\n" + text.replace("http {", "http { " + places, 1))
    ended = run(tool("nginx"), "-t", "-q", "-c", str(file), "-p", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_secrets_are_written_once_and_fit_each_other(tmp_path: Path) -> None:
    script = tmp_path / "fleet-secrets"
    shutil.copy(DOCKER / script.name, script)
    folder = tmp_path / "secrets"

    def written() -> dict[str, str]:
        subprocess.run([script], check=True, capture_output=True, timeout=10)
        return {file.name: file.read_text().strip() for file in folder.iterdir()}

    first = written()
    assert set(first) == set(FLEET["secrets"])
    assert all(f"./secrets/{name}" == place["file"] for name, place in FLEET["secrets"].items())
    assert written() == first

    # The users of the containers read the files; others on the machine cannot enter the directory.
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}

    postgres = SERVICES["postgres"]["environment"]
    user, database = postgres["POSTGRES_USER"], postgres["POSTGRES_DB"]
    assert first["dsn"] == f"postgresql://{user}:{first['postgres-password']}@postgres:5432/{database}"
    [identity] = json.loads(first["s3.json"])["identities"]
    assert identity["credentials"] == [{"accessKey": first["access-key"], "secretKey": first["secret-key"]}]
    bucket = SERVICES["node1"]["environment"]["NUGETPROXY_STORAGE__SHARED__BUCKET"]
    assert {action.partition(":")[2] for action in identity["actions"]} == {bucket}
    assert len({value for name, value in first.items() if name != "dsn"}) == 4


def test_the_bucket_that_is_created_is_that_of_the_settings() -> None:
    [command] = SERVICES["bucket"]["command"]
    bucket = SERVICES["node1"]["environment"]["NUGETPROXY_STORAGE__SHARED__BUCKET"]
    assert f"s3.bucket.create -name {bucket}" in command
    assert SERVICES["bucket"]["image"] == SERVICES["seaweedfs"]["image"]
