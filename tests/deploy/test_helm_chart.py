"""The Helm chart, read by Helm itself: what it refuses, and that Kubernetes and we accept what it renders."""

import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
import kubernetes_validate
import pytest
import yaml

from nugetproxy.config import Config
from nugetproxy.config.reading import load
from tests.shared import lacking

pytestmark = pytest.mark.tools

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "nugetproxy"
VALUES: Final = {"default": {}} | {
    file.name.removesuffix("-values.yaml"): yaml.safe_load(file.read_text()) for file in (CHART / "ci").iterdir()
}
OLDEST, NEWEST = "1.27", "1.34"
"""The versions of Kubernetes whose schemas are asked."""
OF_THE_OPERATOR: Final = {"ServiceMonitor", "PrometheusRule"}
EVERYWHERE: Final = {"ConfigMap", "Pod", "Service", "ServiceAccount"}

Resource = dict[str, Any]


@cache
def rendered(which: str) -> dict[str, list[Resource]]:
    """The resources of a file of values, by kind."""
    by_kind: dict[str, list[Resource]] = {}
    for path, text in _render(VALUES[which]).items():
        for found in yaml.safe_load_all(text) if not path.endswith("NOTES.txt") else ():
            if found:
                by_kind.setdefault(found["kind"], []).append(found)
    return by_kind


def _render(values: dict[str, Any]) -> dict[str, str]:
    return helm_python.Chart.load(CHART).render(values, name="nuget", namespace="build")


def pod(which: str) -> dict[str, Any]:
    """The template of its pods."""
    [controller] = [*rendered(which).get("Deployment", []), *rendered(which).get("StatefulSet", [])]
    template: dict[str, Any] = controller["spec"]["template"]
    return template


def settings(which: str) -> str:
    [found] = [each["data"]["config.toml"] for each in rendered(which)["ConfigMap"] if "config.toml" in each["data"]]
    return str(found)


def environ(which: str) -> dict[str, str]:
    [container] = pod(which)["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize("which", VALUES)
def test_helm_has_nothing_to_say(which: str) -> None:
    report = helm_python.lint(CHART, VALUES[which], strict=True, quiet=True)
    assert report["errors"] == []


@pytest.mark.parametrize("which", VALUES)
def test_kubernetes_accepts_every_resource(which: str) -> None:
    resources = [each for kind, found in rendered(which).items() if kind not in OF_THE_OPERATOR for each in found]
    assert resources
    for version in (OLDEST, NEWEST):
        for resource in resources:
            kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize(
    ("which", "kinds"),
    [
        ("default", {"StatefulSet"}),
        ("shared", {"Deployment", "PodDisruptionBudget"}),
        (
            "everything",
            {"Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy"}
            | OF_THE_OPERATOR,
        ),
    ],
)
def test_what_is_rendered_for_what(which: str, kinds: set[str]) -> None:
    """
    No database, and no secret: they are only referred to.
    """
    assert set(rendered(which)) == kinds | EVERYWHERE


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"replicas": "two"}, "at '/replicas': got string, want integer"),
        ({"storage": {"kind": "s3"}}, "at '/storage/kind': value must be one of 'embedded', 'shared'"),
        ({"storage": {"shared": {"dsn": "postgresql://u:p@h/d"}}}, "at '/storage/shared/dsn': got string, want object"),
        ({"storage": {"shared": {"dsn": {"password": "x"}}}}, "additional properties 'password' not allowed"),
        ({"secretFiles": [{"name": "x"}]}, "at '/secretFiles/0': missing property 'secret'"),
        ({"settings": {"feed": "x"}}, "at '/settings/feed': got string, want object"),
        ({"storage": {"kind": "shared"}}, "storage.shared.dsn.secret is empty: name a secret with the address"),
        (
            {"storage": {"kind": "shared", "shared": {"dsn": {"secret": "x"}}}},
            "storage.shared.bucket is empty: name the S3 bucket",
        ),
        ({"autoscaling": {"enabled": True}}, 'autoscaling needs storage.kind "shared"'),
        (
            VALUES["shared"] | {"autoscaling": {"enabled": True, "minReplicas": 9}},
            "autoscaling.minReplicas is larger than autoscaling.maxReplicas",
        ),
        (
            VALUES["shared"] | {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            "autoscaling needs resources.requests.cpu",
        ),
        ({"ingress": {"enabled": True}}, "ingress.hosts is empty: name the hosts, such as [nuget.example.com]"),
        ({"publicUrl": "nuget.example.com"}, 'publicUrl is "nuget.example.com": expected a URL such as https://'),
        ({"storage": {"shared": {"endpoint": "s3:9000"}}}, 'storage.shared.endpoint is "s3:9000": expected a URL'),
        ({"storage": {"embedded": {"size": "50 GB"}}}, 'is "50 GB": expected a size as in Kubernetes, such as 40Gi'),
        ({"storage": {"shared": {"disk": {"hosted": "9Gi"}}}}, 'is "9Gi": expected a size as in the settings of'),
        ({"image": {"digest": "abc"}}, 'image.digest is "abc": expected sha256: and 64 hexadecimal digits'),
        ({"settings": {"server": {"workers": 3}}}, "settings.server.workers cannot be set: use the value workers"),
        ({"settings": {"storage": {"shared": {"bucket": "x"}}}}, "settings.storage.shared.bucket cannot be set: use"),
        ({"settings": {"storage": {"path": "/x"}}}, "settings.storage.path cannot be set: the volume is at /data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_values_are_refused_with_a_sentence(values: dict[str, Any], why: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        _render(values)
    assert why in str(refused.value)


@pytest.mark.parametrize("which", VALUES)
def test_the_server_accepts_its_settings(which: str, tmp_path: Path) -> None:
    """
    With the environment of the container, and files where the secrets are mounted.
    """
    read = _read(which, tmp_path)
    assert str(read.storage.path) == "/data/nugetproxy"
    assert read.server.listen == ":8550"
    assert read.storage.kind == VALUES[which].get("storage", {}).get("kind", "embedded")


def test_settings_of_every_type_arrive(tmp_path: Path) -> None:
    read = _read("everything", tmp_path)
    assert (read.server.workers, read.server.max_connections) == (4, 8192)
    assert list(read.feed.protected_prefixes) == ["Contoso.", "Fabrikam."]
    assert [each.name for each in read.mirroring.upstream] == ["nuget.org", "corp"]
    assert (read.mirroring.upstream[1].connections, read.accounts.anonymous_read) == (16, "none")
    assert (read.logs.format, environ("everything")["HTTPS_PROXY"]) == ("plain", "http://proxy.example.com:3128")
    assert (read.storage.shared.prefix, read.storage.shared.outage) == ("feeds/main", 300)
    assert read.storage.shared.mirror_budget == 2_000_000_000_000
    assert read.storage.shared.cache_size == 50_000_000_000


def test_whole_numbers_odd_names_and_quotes_survive() -> None:
    """
    Helm's own toToml makes fractions of numbers.
    """
    odd = {"a b": 'say "x" \\ \t', "n": 9, "f": 0.5, "on": True, "none": None, "list": [1, 2], "dé": "é"}
    nested = {"one": odd, "two": {"deep": {"k": "v"}, "rows": [{"a": 1, "more": {"b": 2}}, {"a": 3}]}}
    text = _render({"settings": nested})["nugetproxy/templates/settings.yaml"]
    read = tomllib.loads(yaml.safe_load(text)["data"]["config.toml"])
    del odd["none"]
    assert read["one"] == odd
    assert isinstance(read["one"]["n"], int)
    assert read["two"] == nested["two"]


def _read(which: str, folder: Path) -> Config:
    names = {name: value for name, value in environ(which).items() if name.startswith("NUGETPROXY_")}
    file = folder / "config.toml"
    assert names.pop("NUGETPROXY_CONFIG") == "/etc/nugetproxy/settings/config.toml"
    file.write_text(settings(which).replace("/etc/nugetproxy/", f"{folder}/"))
    for path in mounted_files(which):
        if path.startswith("/etc/nugetproxy/"):
            place = folder / path.removeprefix("/etc/nugetproxy/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("secret\n")
    return load(file, names)


def mounted_files(which: str) -> list[str]:
    """The files of secrets, where the container sees them."""
    spec = pod(which)["spec"]
    places = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    files = []
    for volume in spec["volumes"]:
        if "secret" in volume:
            paths = [item["path"] for item in volume["secret"].get("items", [{"path": "token"}])]
            files += [f"{places[volume['name']]}/{path}" for path in paths]
    return files


@pytest.mark.parametrize("which", VALUES)
def test_every_mount_has_a_volume_and_every_secret_is_used(which: str) -> None:
    spec = pod(which)["spec"]
    claims = [
        claim for each in rendered(which).get("StatefulSet", []) for claim in each["spec"]["volumeClaimTemplates"]
    ]
    volumes = [volume["name"] for volume in spec["volumes"]] + [claim["metadata"]["name"] for claim in claims]
    assert sorted(mount["name"] for mount in spec["containers"][0]["volumeMounts"]) == sorted(volumes)
    for path in mounted_files(which):
        assert path in settings(which)


@pytest.mark.parametrize("which", VALUES)
def test_pods_are_restricted_and_end_in_peace(which: str) -> None:
    """
    As the restricted Pod Security Standard demands. The grace period covers the notice and `server.stop_timeout`.
    """
    spec = pod(which)["spec"]
    [container] = spec["containers"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == _user_of_the_image()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    [notice] = [int(each) for each in container["lifecycle"]["preStop"]["exec"]["command"][1:]]
    finish = tomllib.loads(settings(which))["server"]["stop_timeout"]
    assert spec["terminationGracePeriodSeconds"] >= notice + int(finish.removesuffix("s")) + 5


def _user_of_the_image() -> int:
    [user] = re.findall(r"^USER (\d+):", (ROOT / "deploy" / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    return int(user)


@pytest.mark.parametrize("which", VALUES)
def test_everything_selects_the_pods_and_the_test_pod_gets_no_requests(which: str) -> None:
    labels = pod(which)["metadata"]["labels"].items()
    [service], [test] = rendered(which)["Service"], rendered(which)["Pod"]
    selectors = [service["spec"]["selector"]]
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"):
        specs = [each["spec"] for each in rendered(which).get(kind, [])]
        selectors += [(spec.get("selector") or spec["podSelector"])["matchLabels"] for spec in specs]
    assert all(selector.items() <= labels for selector in selectors)
    assert not service["spec"]["selector"].items() <= test["metadata"]["labels"].items()


def test_pods_may_connect_to_what_they_need() -> None:
    """
    DNS, upstreams, PostgreSQL, and the port of the bucket that the settings name.
    """
    [policy] = rendered("everything")["NetworkPolicy"]
    dns, others = policy["spec"]["egress"]
    assert {(each["port"], each["protocol"]) for each in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert "to" not in dns
    assert [each["port"] for each in others["ports"]] == [443, 5432, 9000]


def test_prometheus_scrapes_the_service_under_the_name_that_the_alerts_expect(tmp_path: Path) -> None:
    [monitor], [service] = rendered("everything")["ServiceMonitor"], rendered("everything")["Service"]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {"targetLabel": "job", "replacement": "nugetproxy"} in endpoint["relabelings"]

    [rule] = rendered("everything")["PrometheusRule"]
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    if (promtool := shutil.which("promtool")) is None:
        lacking("promtool is not installed: scripts/debian-packages names its package")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    ended = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_every_dashboard_is_in_the_chart() -> None:
    shipped = {file.name: file.read_text() for file in (ROOT / "deploy" / "grafana").glob("*.json")}
    found = [each for each in rendered("everything")["ConfigMap"] if "config.toml" not in each["data"]]
    assert {name: text for each in found for name, text in each["data"].items()} == shipped
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in found)


def test_the_chart_installs_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]
