"""`nugetproxy doctor`: its lines, its JSON and its exit codes, against real servers."""

import json

from click.testing import CliRunner, Result

from nugetproxy.cli.main import main
from tests.ports import dead_port, free_port
from tests.serving import Server

NO_PROXIES = {name: None for proxy in ("http_proxy", "https_proxy", "all_proxy") for name in (proxy, proxy.upper())}


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], env=NO_PROXIES)


def checks(ended: Result) -> dict[str, dict[str, str]]:
    return {each["check"]: each for each in json.loads(ended.stdout)["checks"]}


def test_all_is_well_before_the_first_start(tmp_path):
    ended = doctor("--data", str(tmp_path / "data"), "--offline", "--listen", f"127.0.0.1:{free_port()}")

    assert ended.exit_code == 0
    assert [line.split()[:2] for line in ended.output.splitlines()] == [
        ["ok", name] for name in ("settings", "disk", "database", "upstream", "server", "source", "backup")
    ]
    assert not (tmp_path / "data").exists()


def test_a_dead_upstream_is_broken_and_a_missing_backup_a_warning(tmp_path, alice):
    with dead_port() as port:
        told = ["--data", str(alice.data), "--listen", f"127.0.0.1:{free_port()}"]
        broken = doctor(*told, "--upstream", f"http://127.0.0.1:{port}/index.json", "--json")
    warned = doctor(*told, "--offline")
    alice.done("backup", str(tmp_path / "backup"))
    well = doctor(*told, "--offline")

    assert (broken.exit_code, warned.exit_code, well.exit_code) == (2, 1, 0)
    assert json.loads(broken.stdout)["status"] == "broken"
    assert checks(broken)["upstream"]["level"] == "broken"
    assert "Connection refused" in checks(broken)["upstream"]["what"]
    assert checks(broken)["upstream"]["do"].startswith("Check host and port")
    assert warned.output.splitlines()[-2:] == [
        "warning  backup    this data directory was never backed up",
        "                   -> Run `nugetproxy backup DIRECTORY`, best as a daily job.",
    ]
    assert f"in {tmp_path / 'backup'}" in well.output


def test_settings_that_stop_the_start():
    ended = doctor("--workers", "0", "--json")

    assert ended.exit_code == 2
    assert "server.workers" in checks(ended)["settings"]["what"]


def test_a_running_server_is_asked_as_clients_ask_it(tmp_path):
    with Server(tmp_path / "data", "--offline") as server:
        told = ["--data", str(server.data), "--offline", "--json", "--listen", f"127.0.0.1:{server.port}"]
        well = doctor(*told)
        # A public URL that leads to it, while it names the host of each request: a reverse proxy without our settings.
        elsewhere = doctor(*told, "--public-url", f"http://127.0.0.1:{server.port}/feed")
        told[-1] = f"127.0.0.1:{free_port()}"
        unseen = doctor(*told)

    assert (well.exit_code, elsewhere.exit_code, unseen.exit_code) == (0, 2, 2)
    assert checks(well)["server"]["what"] == f"{server.base} is ready"
    assert "status 404" in checks(elsewhere)["source"]["what"]
    assert "nothing listens at" in checks(unseen)["server"]["what"]
