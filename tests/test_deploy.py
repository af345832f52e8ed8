"""The examples below docs/deploy: held against image, settings, routes and metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from flask import Flask

from app.cli import COMMANDS
from config import ROOT, SECRET_NAMES, VERSION, Config, load_config
from tests.test_containers import of_the_image

DEPLOY = ROOT / "docs" / "deploy"
METRIC = re.compile(r"devenviro_[a-z_]+")


def manifest() -> dict[str, Any]:
    found = yaml.safe_load_all((DEPLOY / "kubernetes.yml").read_text())
    return {one["kind"]: one for one in found}


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = manifest()["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def containers() -> dict[str, Any]:
    return {one["name"]: one for one in pod()["containers"]}


# ---- Kubernetes ---------------------------------------------------------------------------------


def test_pod_runs_as_the_user_of_the_image_with_nothing_more_than_it_needs() -> None:
    [user] = of_the_image("USER")
    context = pod()["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == user and context["runAsNonRoot"]
    assert context["fsGroup"] == context["runAsGroup"]
    for container in containers().values():
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"].endswith(f":{VERSION}")
        # Everything that is written lies in a volume.
        assert {"/data", "/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]}  # noqa: S108


def test_pod_has_web_and_worker_with_commands_that_exist() -> None:
    assert list(containers()) == ["web", "worker"]
    assert "command" not in containers()["web"]
    [program, command] = containers()["worker"]["command"]
    assert program == "flask" and command in COMMANDS


def test_probes_ask_paths_that_answer_at_the_port_that_is_open(app: Flask) -> None:
    web = containers()["web"]
    [port] = web["ports"]
    assert [str(port["containerPort"])] == of_the_image("EXPOSE")
    client = app.test_client()
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = web[probe]["httpGet"]
        assert asked["port"] == port["name"]
        assert client.get(asked["path"]).status_code == 200
    [served] = manifest()["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    labels = manifest()["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert manifest()["Service"]["spec"]["selector"].items() <= labels.items()


def test_settings_of_the_pod_are_those_of_a_working_production(tmp_path: Path) -> None:
    settings = manifest()["ConfigMap"]["data"]
    mounts = {mount["name"]: mount["mountPath"] for mount in containers()["web"]["volumeMounts"]}
    environ = {}
    for name, value in settings.items():
        assert isinstance(value, str)
        if name.endswith("_FILE"):
            assert name.removesuffix("_FILE") in SECRET_NAMES
            assert value.startswith(mounts["secrets"] + "/")
            secret = tmp_path / value.rpartition("/")[2]
            secret.write_text("a secret of a test\n")
            environ[name] = str(secret)
            # The comment at the top makes it.
            assert f"--from-literal={secret.name}=" in (DEPLOY / "kubernetes.yml").read_text()
        else:
            assert name in Config.model_fields
            environ[name] = value
    config = load_config(environ)
    assert config.ENVIRONMENT == "production" and not config.WORKER_IN_WEB
    assert str(config.DATA_DIR).startswith(mounts["data"] + "/")


def test_volumes_that_are_mounted_exist() -> None:
    spec = manifest()["StatefulSet"]["spec"]
    names = {one["name"] for one in pod()["volumes"]}
    names |= {one["metadata"]["name"] for one in spec["volumeClaimTemplates"]}
    for container in containers().values():
        assert {mount["name"] for mount in container["volumeMounts"]} == names


# ---- Prometheus and Grafana ---------------------------------------------------------------------


def expressions() -> Iterator[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"].keys() == {"summary", "description"}
            assert rule["labels"]["severity"] in ("critical", "warning")
            yield rule["expr"]
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


@pytest.mark.one_database
def test_every_metric_of_rules_and_dashboard_is_served(app: Flask) -> None:
    served = app.test_client().get("/metrics").text
    names = set(re.findall(r"^# TYPE (\S+)", served, re.M))
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", served, re.M))
    named = set()
    for expression in expressions():
        assert expression.count("(") == expression.count(")"), expression
        for name in METRIC.findall(expression):
            base = re.sub(r"_(bucket|count|sum)$", "", name)
            named.add(base if kinds.get(base) == "histogram" else name)
        # What only grows is read by its rate, and what goes up and down is not.
        for name in re.findall(r"(?:rate|increase)\((devenviro_[a-z_]+)", expression):
            base = re.sub(r"_(bucket|count|sum)$", "", name)
            assert kinds[base] in ("counter", "histogram"), name
    assert named <= names and len(named) > 15


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


# ---- versions -----------------------------------------------------------------------------------


def test_image_and_changelog_name_the_version() -> None:
    labels = dict(re.findall(r'image\.([a-z.]+)=("[^"]*"|\S+)', " ".join(of_the_image("LABEL"))))
    assert labels["version"] == f'"{VERSION}"'
    assert labels.keys() >= {"title", "description", "created", "revision", "base.name"}
    base = next(
        line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")
    )
    assert labels["base.name"].strip('"') == f"docker.io/library/{base.split()[1]}"
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    for heading in headings[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading), heading
