"""The whole command as users run it, offline and with an empty store: real workers, real sockets, no upstream."""

import http.client
import json
import signal
import ssl
import sys

import pytest
from click.testing import CliRunner

from nugetproxy.cli.main import main
from nugetproxy.errors import ConfigError
from nugetproxy.runtime.worker import _loop_factory
from tests.certificates import PrivateCA
from tests.runtime.serving import eventually, serving


@pytest.fixture
def served(tmp_path):
    with serving(tmp_path / "kept", "--offline", "--workers", "2", application=None) as served:
        yield served


def get(port: int, path: str, tls: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    connection: http.client.HTTPConnection
    if tls is not None:
        connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_is_ready_once_it_says_so(served):
    status, body = get(served.port, "/health/ready")

    assert (status, json.loads(body)["ready"]) == (200, True)


def test_the_announced_source_answers(served):
    status, body = get(served.port, "/v3/index.json")

    assert status == 200
    ours = f"http://127.0.0.1:{served.port}/"
    assert [each["@id"] for each in json.loads(body)["resources"] if not each["@id"].startswith(ours)] == []
    assert "--name nugetproxy --allow-insecure-connections\n" in served.announced


def test_metrics_add_up_over_the_workers(served):
    """
    Each connection may reach a different worker; whichever answers reports all of them.
    """
    for _ in range(20):
        get(served.port, "/v3/index.json")

    def counted() -> bool:
        _, body = get(served.port, "/metrics")
        rows = [line for line in body.decode().splitlines() if 'resource="service_index"' in line and "_total{" in line]
        return sum(float(row.split()[-1]) for row in rows if row.startswith("nugetproxy_requests_total")) == 20

    eventually(counted, "the count of all requests")


def test_what_alerts_look_for_begins_at_zero(served):
    """
    To Prometheus a counter that appears with 1 has not increased: the first rejected package would raise no alert.
    """
    _, body = get(served.port, "/metrics")
    rows = set(body.decode().splitlines())

    for check in ("length", "hash", "signature", "archive", "identity"):
        assert f'nugetproxy_content_rejected_total{{check="{check}",upstream="nuget.org"}} 0.0' in rows
    for store in ("documents", "content"):
        assert f'nugetproxy_store_failures_total{{store="{store}"}} 0.0' in rows
    for kind in ("document", "content"):
        assert f'nugetproxy_coalesced_total{{kind="{kind}"}} 0.0' in rows
    for reason in ("limit", "address_limit", "header_timeout", "idle", "stall"):
        assert f'nugetproxy_connections_refused_total{{reason="{reason}"}} 0.0' in rows
    assert 'nugetproxy_upstream_resumed_total{upstream="nuget.org"} 0.0' in rows


def test_an_idle_connection_does_not_hold_up_the_stop(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request("GET", "/health/live")
    connection.getresponse().read()

    served.signal(signal.SIGTERM)

    assert served.wait() == 0
    assert "worker_killed" not in served.log
    assert "Traceback" not in served.log
    connection.close()


def test_a_reload_serves_on(served):
    before = served.workers()
    served.signal(signal.SIGHUP)
    eventually(lambda: len(served.workers()) == 2 and not served.workers() & before, "the reload")

    assert get(served.port, "/health/ready")[0] == 200
    assert "Traceback" not in served.log


def test_https_is_served_with_the_new_certificate_after_a_reload(tmp_path):
    PrivateCA(tmp_path).issue("tls")
    files = ("--tls-cert", str(tmp_path / "tls.pem"), "--tls-key", str(tmp_path / "tls.key"))
    with serving(tmp_path / "kept", "--offline", *files, application=None) as served:
        trusting_old = trusting(tmp_path)
        assert get(served.port, "/health/ready", trusting_old)[0] == 200
        assert "--allow-insecure-connections" not in served.announced

        PrivateCA(tmp_path).issue("tls")
        before = served.workers()
        served.signal(signal.SIGHUP)
        eventually(lambda: served.workers() != set() and not served.workers() & before, "the reload")
        assert get(served.port, "/health/ready", trusting(tmp_path))[0] == 200
        with pytest.raises(ssl.SSLError):
            get(served.port, "/health/ready", trusting_old)


def trusting(folder) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def test_a_data_directory_that_cannot_be_used_is_reported(tmp_path):
    from tests.runtime.serving import Served

    (tmp_path / "file").write_text("")
    served = Served(tmp_path / "kept", "--data", str(tmp_path / "file" / "below"), application=None)
    try:
        assert served.wait() == 1
        assert f"nugetproxy: the data directory {tmp_path}/file/below cannot be used" in served.log
        assert "Traceback" not in served.log
    finally:
        served.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_loop_can_be_chosen(tmp_path, loop):
    settings = tmp_path / "n.toml"
    settings.write_text(f'[server]\nloop = "{loop}"\n')
    with serving(tmp_path / "kept", "--offline", "--config", str(settings), application=None) as served:
        assert get(served.port, "/health/ready")[0] == 200


def test_uvloop_is_used_where_it_is_installed(monkeypatch):
    assert _loop_factory("auto") is _loop_factory("uvloop") is not None

    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert _loop_factory("auto") is None
    with pytest.raises(ConfigError, match="not installed"):
        _loop_factory("uvloop")


def test_without_accounts_the_start_says_how_to_create_one(served):
    assert served.process.stdout is not None
    told = [served.process.stdout.readline() for _ in range(4)]

    assert told[0].startswith("Nobody can push yet.")
    # As the server itself was started: a bare name may not be on the PATH.
    assert told[1] == f"  {sys.executable} -m nugetproxy user add NAME --admin --data {served.data}\n"


def test_packages_of_an_upstream_that_is_not_configured_are_pointed_out_once(tmp_path):
    """
    Otherwise a mirror filled with --upstream and started without it would be empty without any message.
    """
    (tmp_path / "kept/mirror/feed.example.com/contoso.utils").mkdir(parents=True)
    with serving(tmp_path / "kept", "--offline", "--workers", "2", application=None) as served:
        get(served.port, "/health/ready")

    [line] = [line for line in served.log.splitlines() if "mirror_of_no_upstream" in line]
    assert "feed.example.com" in line
    assert "--upstream" in line


@pytest.mark.parametrize("how", ["an administrator", "nothing hosted"])
def test_others_do_not(tmp_path, monkeypatch, how):
    data = tmp_path / "kept"
    if how == "an administrator":
        assert CliRunner().invoke(main, ["user", "add", "alice", "--admin", "--data", str(data)]).exit_code == 0
    else:
        monkeypatch.setenv("NUGETPROXY_HOSTING__ENABLED", "false")
    with serving(data, "--offline", application=None) as served:
        get(served.port, "/health/live")
        assert served.process.stdout is not None
        assert "/health/live" in served.process.stdout.readline()  # the access log, at once
