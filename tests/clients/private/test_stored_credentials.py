"""Pushing without `--api-key`: the credentials of the source in nuget.config are enough, as for reading."""

import json
from pathlib import Path

import pytest

from tests.clients.kit import Run, Source, Workplace
from tests.private import Accounts, package, send
from tests.serving import Server
from tests.symbol_builders import make_debuggable, make_snupkg

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]

PASSWORD = "correct horse battery staple"
KEY_NEEDED = "401 (An API key must be provided in the 'X-NuGet-ApiKey' header to use this service)"


@pytest.fixture(scope="module")
def accounts(private: Server) -> Accounts:
    made = Accounts(private.data)
    made.add_user("alice", PASSWORD)
    return made


def versions(server: Server, package_id: str) -> list[str]:
    reply = send(server, "GET", f"/v3/flatcontainer/{package_id.lower()}/index.json")
    return list(json.loads(reply.body)["versions"]) if reply.status == 200 else []


class Client:
    """One client's push and delete, with the credentials for the source `here` in nuget.config, and no key."""

    def __init__(self, name: str, folder: Path, server: Server, credentials: tuple[str, str] | None) -> None:
        self._name = name
        self._workplace = Workplace(folder / "work", server.url)
        self._workplace.configure({"here": Source(server.url, credentials)})

    def push(self, package_id: str, payload: bytes, symbols: bytes | None = None) -> Run:
        file = self._workplace.folder / f"{package_id}.1.0.0.nupkg"
        file.write_bytes(payload)
        if symbols is not None:
            file.with_suffix(".snupkg").write_bytes(symbols)
        return self._run("push", file.name)

    def delete(self, package_id: str) -> Run:
        return self._run("delete", package_id, "1.0.0")

    def _run(self, verb: str, *arguments: str) -> Run:
        if self._name == "nuget.exe":
            return self._workplace.nuget_exe(verb, *arguments, "-Source", "here", "-NonInteractive")
        dotnet = self._workplace.dotnet if self._name == "SDK 10" else self._workplace.dotnet31
        unasked = ("--non-interactive",) if verb == "delete" else ()
        return dotnet("nuget", verb, *arguments, "-s", "here", *unasked)


def test_user_and_password_push_a_package_with_its_symbols_and_delete_it(server, accounts, tmp_path) -> None:
    client = Client("SDK 10", tmp_path, server, ("alice", PASSWORD))
    run = client.push("Contoso.Stored", make_debuggable("Contoso.Stored"), make_snupkg("Contoso.Stored"))

    assert run.must_succeed().output.count("Your package was pushed.") == 2
    assert versions(server, "Contoso.Stored") == ["1.0.0"]
    assert "was deleted successfully" in client.delete("Contoso.Stored").must_succeed().output


@pytest.mark.parametrize(("client", "name"), [("SDK 10", "anything"), ("SDK 3.1", "alice"), ("nuget.exe", "token")])
def test_a_key_stored_as_password_pushes_under_any_name(server, accounts, tmp_path, client, name) -> None:
    """
    As on the feeds of GitHub, GitLab and Gitea.
    """
    package_id = f"Contoso.Token.{client.partition(' ')[2].replace('.', '') or 'exe'}"
    key = accounts.add_key(f"for {client}", "alice")
    run = Client(client, tmp_path, server, (name, key)).push(package_id, package(package_id))

    assert "Your package was pushed." in run.must_succeed().output
    assert versions(server, package_id) == ["1.0.0"]


@pytest.mark.parametrize("client", ["SDK 10", "nuget.exe"])
def test_without_a_key_and_without_credentials_the_reason_is_reported(server, tmp_path, client) -> None:
    run = Client(client, tmp_path, server, None).push("Contoso.Nobody", package("Contoso.Nobody"))

    assert KEY_NEEDED in run.must_fail().output
    assert run.output.count("PUT ") == 1  # no round of tries
    assert versions(server, "Contoso.Nobody") == []


def test_a_wrong_password_is_reported(server, accounts, tmp_path) -> None:
    run = Client("SDK 10", tmp_path, server, ("alice", "wrong")).push("Contoso.Nobody", package("Contoso.Nobody"))

    assert (
        "401 (the user name or password is wrong, or the API key given as password is invalid)"
        in run.must_fail().output
    )
