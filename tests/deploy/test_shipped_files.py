"""Every file under deploy/ is checked by the tool that will read it."""

import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from nugetproxy.cli.output import BAD_SETTINGS
from nugetproxy.runtime.supervisor import GIVE_UP_AFTER
from nugetproxy.storage.blobs.s3_client import BucketAddress
from tests.certificates import PrivateCA
from tests.engines.postgres import PostgresServer
from tests.fakes.upstream import FakeUpstream
from tests.nginx import configure
from tests.ports import free_port
from tests.serving import Server
from tests.shared import lacking

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        lacking(f"{name} is not installed: scripts/debian-packages names its package")
    return found


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    ended = run(tool("hadolint"), str(DEPLOY / "docker" / "Dockerfile"))
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    """
    systemd-analyze exits 0 on an unknown key, so any output at all is a failure.
    """
    program = tmp_path / "nugetproxy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text().replace("/opt/nugetproxy/bin/nugetproxy", str(program))
        (tmp_path / unit.name).write_text(text)
    ended = run(tool("systemd-analyze"), "verify", str(tmp_path / "nugetproxy.service"), cwd=tmp_path)
    assert ended.stdout + ended.stderr == ""


def test_the_unit_does_not_start_again_with_wrong_settings() -> None:
    assert f"RestartPreventExitStatus={BAD_SETTINGS}\n" in (DEPLOY / "systemd" / "nugetproxy.service").read_text()


def test_the_watchdog_waits_longer_than_the_supervisor_for_its_workers() -> None:
    """
    The server then exits with a message about what is wrong, whereas the watchdog could only kill it.
    """
    [seconds] = re.findall(
        r"^WatchdogSec=(\d+)$", (DEPLOY / "systemd" / "nugetproxy.service").read_text(), re.MULTILINE
    )
    assert int(seconds) > GIVE_UP_AFTER


def test_the_unit_is_hardened() -> None:
    """
    systemd's own score of the unit: "OK" or better, offline.
    """
    unit = DEPLOY / "systemd" / "nugetproxy.service"
    ended = run(tool("systemd-analyze"), "security", "--offline=true", "--threshold=20", str(unit))
    assert ended.returncode == 0, ended.stdout + ended.stderr


def front(folder: Path, port: int = 443, behind: int = 8550) -> Path:
    """The shipped nginx file on other ports, as a whole configuration."""
    return configure(folder, port, [behind], PrivateCA(folder / "ca").issue())


def test_nginx_accepts_the_front(tmp_path: Path) -> None:
    ended = run(tool("nginx"), "-t", "-q", "-c", str(front(tmp_path)), "-p", str(tmp_path))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_behind_nginx_on_another_port_links_carry_it(tmp_path: Path) -> None:
    nginx, port = tool("nginx"), free_port()
    trusting = '[server]\ntrusted_proxies = ["127.0.0.1"]\n'
    with Server(tmp_path / "data", "--offline", config=trusting) as server:
        command = [nginx, "-c", str(front(tmp_path, port, server.port)), "-p", str(tmp_path)]
        with (tmp_path / "nginx.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            index = json.loads(_over_tls(port, "/v3/index.json"))
        finally:
            process.terminate()
            process.wait(timeout=10)
    links = {resource["@id"].split("/v3/")[0].split("/api/")[0] for resource in index["resources"]}
    assert links == {f"https://nuget.example.com:{port}"}


def _over_tls(port: int, path: str) -> bytes:
    """The answer to a client of nuget.example.com on this port, once the port is open."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + 10
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=trusting)
        try:
            forged = {"X-Forwarded-Port": "1", "X-Forwarded-Prefix": "/evil", "Forwarded": "host=evil"}
            connection.request("GET", path, headers={"Host": f"nuget.example.com:{port}", **forged})
            return connection.getresponse().read()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml"), ("check", "config", "prometheus.yml")],
    ids=" ".join,
)
def test_promtool_accepts_the_rules_and_their_tests(arguments: tuple[str, ...]) -> None:
    ended = run(tool("promtool"), *arguments, cwd=DEPLOY / "prometheus")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_has_a_unit_test() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus" / "alerts_test.yml").read_text()))
    assert alerts == tested


def test_the_compose_file_sets_only_known_variables() -> None:
    known = (ROOT / "config.example.toml").read_text()
    used = set(re.findall(r"NUGETPROXY_\w+", (DEPLOY / "docker" / "compose.yaml").read_text()))
    used |= set(re.findall(r"NUGETPROXY_\w+", (DEPLOY / "docker" / "Dockerfile").read_text()))
    assert used
    assert {name for name in used if name not in known} == set()


def test_the_compose_file_mounts_what_is_there_and_bounds_every_log() -> None:
    """
    It sets no public URL, so that documents contain the host that the client used, on any machine.
    """
    compose = (DEPLOY / "docker" / "compose.yaml").read_text()
    mounted = re.findall(r"^ +- (\.\./[^:]+):", compose, re.MULTILINE)
    services = re.findall(r"^  (\w+):\n    (?:image|build):", compose, re.MULTILINE)

    assert [name for name in mounted if not (DEPLOY / "docker" / name).exists()] == []
    assert {"../grafana/provisioning", "../grafana/nugetproxy.json", "../prometheus/alerts.yml"} <= set(mounted)
    assert services == ["nugetproxy", "prometheus", "grafana"]
    assert compose.count("logging: *logging") == len(services)
    assert not re.search(r"^ +NUGETPROXY_SERVER__PUBLIC_URL", compose, re.MULTILINE)


def test_grafana_is_given_the_prometheus_that_runs_beside_it_and_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    compose = (DEPLOY / "docker" / "compose.yaml").read_text()
    [folder] = re.findall(r"path: (\S+)", (provisioning / "dashboards" / "nugetproxy.yaml").read_text())

    assert "url: http://prometheus:9090" in (provisioning / "datasources" / "prometheus.yaml").read_text()
    assert f"nugetproxy.json:{folder}/nugetproxy.json:ro" in compose


def test_the_image_installs_what_the_project_declares() -> None:
    """
    The Dockerfile copies enough to build the wheel: every file that pyproject.toml names.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    copied = (DEPLOY / "docker" / "Dockerfile").read_text()
    for name in (project["readme"], *project["license-files"], "pyproject.toml"):
        assert name in copied


def dashboard_expressions(dashboard: str) -> list[str]:
    panels = json.loads((DEPLOY / "grafana" / dashboard).read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def asked_for(text: str) -> set[str]:
    """The metrics that expressions name."""
    return set(re.findall(r"nugetproxy_\w+", text))


def exported(server: Server) -> tuple[str, ...]:
    return tuple(re.findall(r"^# TYPE (\w+)", server.get("/metrics").decode(), re.MULTILINE))


def test_a_node_of_a_fleet_exports_what_its_dashboard_and_alerts_ask_for(
    tmp_path: Path, postgres: PostgresServer, shared_database: str, bucket: BucketAddress
) -> None:
    dsn = tmp_path / "dsn"
    dsn.write_text(postgres.dsn(shared_database))
    settings = (
        f'[storage]\nkind = "shared"\n[storage.shared]\ndsn_file = "{dsn}"\nbucket = "{bucket.bucket}"\n'
        f'endpoint = "{bucket.endpoint}"\nregion = "{bucket.region}"\nprefix = "{bucket.prefix}"\n'
        f'access_key_file = "{bucket.access_key_file}"\nsecret_key_file = "{bucket.secret_key_file}"\n'
    )
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text().partition("name: nugetproxy-fleet")[2]
    wanted = asked_for(" ".join(dashboard_expressions("nugetproxy-fleet.json")) + alerts)
    assert len(wanted) > 15
    with Server(tmp_path / "node", "--offline", config=settings) as server:
        deadline = time.monotonic() + 30
        # The first look for missing files asks the bucket.
        while missing := {name for name in wanted if not name.startswith(exported(server))}:
            assert time.monotonic() < deadline, f"not exported: {missing}"
            time.sleep(0.1)
        for series in (
            'nugetproxy_fleet_standing{state="confirmed"}',
            'nugetproxy_fleet_job_held{name="hosting upkeep"}',
        ):
            while server.metric(series) != 1:
                assert time.monotonic() < deadline, series
                time.sleep(0.1)
        assert server.metric("nugetproxy_engine_unreachable") == 0


async def test_a_real_prometheus_scrapes_the_server_and_answers_every_panel(tmp_path: Path) -> None:
    """
    Prometheus itself scrapes the running server, loads our alerts, and evaluates every expression of the dashboards.
    """
    prometheus = tool("prometheus")
    async with FakeUpstream() as upstream:
        upstream.add_package("Contoso.Utils", "1.0.0")
        with Server(tmp_path / "data", upstream=upstream.url) as server:
            import asyncio

            path = "/v3/flatcontainer/contoso.utils/1.0.0/contoso.utils.1.0.0.nupkg"
            await asyncio.to_thread(server.get, path)
            await asyncio.to_thread(server.get, path)
            await asyncio.to_thread(_check_with_prometheus, prometheus, server, tmp_path)


def _check_with_prometheus(prometheus: str, server: Server, tmp_path: Path) -> None:
    port = free_port()
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", tmp_path / "alerts.yml")
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        "rule_files: [alerts.yml]\n"
        "scrape_configs:\n"
        f"  - {{job_name: nugetproxy, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}\n"
    )
    command = [
        prometheus,
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def ask(expression: str) -> list[dict[str, object]]:
            query = urllib.parse.urlencode({"query": expression})
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
                parsed = json.load(answer)
            assert parsed["status"] == "success", expression
            return list(parsed["data"]["result"])

        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if ask('count_over_time(up{job="nugetproxy"}[1m]) >= 3 and up == 1'):
                    break
            except OSError:
                pass
            time.sleep(0.2)
        else:
            raise AssertionError((tmp_path / "prometheus.log").read_text())

        assert ask('nugetproxy_requests_total{resource="nupkg",outcome="miss"}')
        assert ask("nugetproxy_stored_packages == 1")
        for expression in (*dashboard_expressions("nugetproxy.json"), *dashboard_expressions("nugetproxy-fleet.json")):
            for variable, value in (("$instance", ".*"), ("$__rate_interval", "1m"), ("$__range", "1h")):
                expression = expression.replace(variable, value)
            ask(expression)
        for name in asked_for(" ".join(dashboard_expressions("nugetproxy.json"))):
            assert name.startswith(exported(server)), f"the dashboard asks for {name}"
    finally:
        process.terminate()
        process.wait(timeout=20)
