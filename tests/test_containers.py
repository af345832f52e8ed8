"""The image and compose's services, read as the files they are: no engine is needed, none is asked.

What they say is held against the settings, the tree and, where that can be done, a real process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]
from dotenv import dotenv_values

from config import ROOT, Config, load_config

# In the image's environment, but none of the service's settings.
NO_SETTINGS = {"BUILD_RELEASE", "HOME", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


class Instruction(NamedTuple):
    """A line of the Dockerfile, with its continuations."""

    stage: int
    name: str
    text: str


def dockerfile() -> list[Instruction]:
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = -1
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        stage += name == "FROM"
        found.append(Instruction(stage, name, rest.strip()))
    return found


def of_the_image(name: str) -> list[str]:
    """Return the texts of an instruction in the last stage, the one that is shipped."""
    last = dockerfile()[-1].stage
    return [line.text for line in dockerfile() if line.stage == last and line.name == name]


def copied_from_the_context() -> list[tuple[list[str], str]]:
    found = []
    for line in dockerfile():
        if line.name == "COPY" and "--from" not in line.text:
            *sources, target = line.text.split()
            found.append((sources, target))
    return found


def compose(environ: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the services as compose sees them with these variables."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        given = (environ or {}).get(match["name"])
        if match["operator"] == "+":
            return match["word"] if given else ""
        return given or match["word"]

    pattern = r"\$\$|\$\{(?P<name>\w+):(?P<operator>[-+])(?P<word>[^}]*)\}"
    text = re.sub(pattern, value, (ROOT / "docker-compose.yml").read_text())
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def env_example() -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(ROOT / ".env.example").items()}


def environment_of_qdrant(env_file: dict[str, str]) -> dict[str, str]:
    """Return what is set for it; a line without a value would pass one on, and there is none."""
    lines = compose(env_file)["services"]["qdrant"]["environment"]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def environment_of_the_api(env_file: dict[str, str]) -> dict[str, str]:
    """Return what the container's process gets: the image's, then .env's, then compose's."""
    image = dict(pair.split("=", 1) for text in of_the_image("ENV") for pair in text.split())
    own = compose(env_file)["services"]["api"]["environment"]
    return image | env_file | {name: str(value) for name, value in own.items()}


@pytest.fixture
def answering() -> Iterator[Callable[[int], int]]:
    """Start servers that answer every request with one status; each returns its port."""
    servers: list[HTTPServer] = []

    def start(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# ---- the image ----------------------------------------------------------------------------------


def test_image_runs_as_a_number_other_than_root() -> None:
    assert dockerfile()[-1].stage > 0, "one stage only"
    [user] = of_the_image("USER")
    uid, gid = user.split(":")
    assert int(uid) > 0 and int(gid) > 0
    assert any(f"-o {uid} -g {gid} /data" in run for run in of_the_image("RUN"))


def test_commands_are_in_exec_form_so_that_signals_reach_gunicorn() -> None:
    [command] = of_the_image("CMD")
    [probe] = of_the_image("HEALTHCHECK")
    assert json.loads(command) == ["gunicorn"]
    assert json.loads(probe.partition("CMD ")[2])[0] == "python"
    assert of_the_image("STOPSIGNAL") == ["SIGTERM"]
    assert not of_the_image("ENTRYPOINT")


def test_base_image_names_python_and_debian() -> None:
    bases = [line.text.split() for line in dockerfile() if line.name == "FROM"]
    stages = {base[2] for base in bases if len(base) == 3}
    foreign = {base[0] for base in bases} - stages
    assert foreign == {"python:3.11-slim-bookworm"}


def test_packages_are_installed_only_with_their_hashes() -> None:
    installs = [line.text for line in dockerfile() if re.search(r"\bpip .*install", line.text)]
    assert installs
    assert all("--require-hashes" in install for install in installs)


def test_what_is_compiled_in_advance_is_installed_in_the_image() -> None:
    (named,) = re.findall(r'loaded="([^"]+)"', (ROOT / "Dockerfile").read_text())
    modules = {name.partition(".")[0] for name in re.findall(r"[\w.]+", named)}
    pinned = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements.txt").read_text())
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    distributions = packages_distributions()
    for module in modules:
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in distributions[module]}
        assert names & installed, f"{module} is not among the requirements of the image"


def test_image_sets_only_what_the_service_knows() -> None:
    names = {pair.split("=")[0] for text in of_the_image("ENV") for pair in text.split()}
    assert names - NO_SETTINGS <= set(Config.model_fields)
    assert {"API_HOST", "DATA_DIR", "BUILD_RELEASE"} <= names


def test_release_changes_last_so_that_it_rebuilds_nothing() -> None:
    names = [line.name for line in dockerfile()]
    assert set(names[names.index("ARG") :]) == {"ARG", "ENV", "LABEL"}


def test_context_lets_nothing_in_but_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {source for sources, _ in copied_from_the_context() for source in sources}
    assert rules[0] == "*"
    assert {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")} == {
        source.lstrip("/") for source in copied
    }
    # The last rule that matches decides: no .env and no .git, however deep.
    assert rules[-1] == "**/.*"


def test_what_is_copied_is_enough_to_serve(tmp_path: Path) -> None:
    target = tmp_path / "root"
    for sources, destination in copied_from_the_context():
        for source in sources:
            place = target / destination.lstrip("/")
            place = place / source if destination.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)
    [folder] = of_the_image("WORKDIR")
    script = "import wsgi; print(wsgi.app.test_client().get('/admin/login').status_code)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=target / folder.lstrip("/"),
        env=environment_of_the_api(env_example())
        | {"DATA_DIR": str(tmp_path / "data"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "200"
    assert "password" in done.stderr  # what a container writes there stands in its log, too


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_check_is_what_readiness_answers(
    answering: Callable[[int], int], status: int, healthy: bool
) -> None:
    [probe] = of_the_image("HEALTHCHECK")
    done = subprocess.run(
        [sys.executable, *json.loads(probe.partition("CMD ")[2])[1:]],
        # A proxy for everything else must not see it; nobody listens on port 9.
        env={"API_PORT": str(answering(status)), "HTTP_PROXY": "http://127.0.0.1:9"},
        timeout=30,
    )
    assert (done.returncode == 0) is healthy


def test_health_check_fails_when_nobody_listens(answering: Callable[[int], int]) -> None:
    [probe] = of_the_image("HEALTHCHECK")
    done = subprocess.run(
        [sys.executable, *json.loads(probe.partition("CMD ")[2])[1:]],
        env={"API_PORT": "9"},
        stderr=subprocess.DEVNULL,
        timeout=30,
    )
    assert done.returncode != 0


# ---- compose ------------------------------------------------------------------------------------


def test_unedited_example_starts_in_development() -> None:
    config = load_config(environment_of_the_api(env_example()))
    assert config.ENVIRONMENT == "development"
    assert (config.API_HOST, config.API_PORT) == ("0.0.0.0", 8000)
    assert config.DATA_DIR == Path("/data")
    assert config.public_url == "http://127.0.0.1:8000"


def test_emptied_example_starts_as_well() -> None:
    environ = environment_of_the_api(dict.fromkeys(env_example(), ""))
    assert load_config(environ).DATA_DIR == Path("/data")
    # gunicorn converts this one itself, before any code of ours runs.
    assert int(environ["WEB_CONCURRENCY"]) > 0
    assert environ["BUILD_RELEASE"] == "$RELEASE"  # .env has no such line to empty it


def test_another_port_is_the_one_that_is_published_and_printed() -> None:
    environ = env_example() | {"API_PORT": "9000"}
    assert compose(environ)["services"]["api"]["ports"] == ["127.0.0.1:9000:9000"]
    assert load_config(environment_of_the_api(environ)).public_url.endswith(":9000")


def test_only_the_api_is_published_and_only_on_loopback() -> None:
    services = compose()["services"]
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert [name for name, service in services.items() if "ports" in service] == ["api"]
    assert not any("network_mode" in service for service in services.values())


def test_every_setting_of_compose_is_known() -> None:
    assert set(compose()["services"]["api"]["environment"]) <= set(Config.model_fields)


def test_every_service_is_hardened_and_outlives_a_restart() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
        assert not service.keys() & {"cap_add", "privileged", "pid", "ipc", "devices"}, name
        assert service["logging"]["options"]["max-size"], name


def test_every_foreign_image_is_pinned_and_rootless() -> None:
    images = {
        name: service["image"]
        for name, service in compose()["services"].items()
        if "image" in service and service["image"] != "devenviro-api"  # what the api's build makes
    }
    assert set(images) == {"qdrant", "postgres"}
    assert all(re.search(r":v?\d[\w.]*-", image) for image in images.values()), images
    assert images["qdrant"].endswith("-unprivileged")
    assert compose()["services"]["postgres"]["user"] == "999:999"


def test_nothing_is_required_of_whoever_uses_no_profile() -> None:
    # Compose evaluates `:?` for services of profiles that are off.
    assert not re.search(r"\$\{\w+:?\?", (ROOT / "docker-compose.yml").read_text())
    started = {name for name, service in compose()["services"].items() if "profiles" not in service}
    assert started == {"api", "qdrant"}


def test_api_waits_for_postgresql_if_it_is_there_and_never_for_qdrant() -> None:
    assert compose()["services"]["api"]["depends_on"] == {
        "postgres": {"condition": "service_healthy", "required": False}
    }


def test_everything_that_is_written_lies_in_a_named_volume() -> None:
    loaded = compose()
    mounts = {
        name: [mount.split(":")[1] for mount in service["volumes"]]
        for name, service in loaded["services"].items()
    }
    sources = {
        mount.split(":")[0]
        for service in loaded["services"].values()
        for mount in service["volumes"]
    }
    assert sources == set(loaded["volumes"])
    assert mounts["api"] == of_the_image("VOLUME") == ["/data"]
    init_file = environment_of_qdrant({})["QDRANT_INIT_FILE_PATH"]
    assert any(init_file.startswith(mount + "/") for mount in mounts["qdrant"])


def test_databases_share_networks_with_the_service_only_and_reach_nothing_else() -> None:
    loaded = compose()
    for name in ("qdrant", "postgres"):
        [network] = loaded["services"][name]["networks"]
        members = {
            other for other, service in loaded["services"].items() if network in service["networks"]
        }
        assert members - {"worker"} == {"api", name}
        assert loaded["networks"][network] == {"internal": True}


def test_database_of_the_profile_is_one_the_service_can_use() -> None:
    environ = env_example() | {"POSTGRES_PASSWORD": "s3cret"}
    postgres = compose(environ)["services"]["postgres"]["environment"]
    url = "postgresql://{POSTGRES_USER}:{POSTGRES_PASSWORD}@postgres/{POSTGRES_DB}".format(
        **postgres
    )
    assert url == "postgresql://devenviro:s3cret@postgres/devenviro"
    assert load_config(environment_of_the_api(environ | {"DATABASE_URL": url})).DATABASE_URL


def test_api_searches_memories_in_the_qdrant_of_compose_unless_another_one_is_set() -> None:
    config = load_config(environment_of_the_api(env_example()))
    url = urlsplit(config.QDRANT_URL or "")
    qdrant = compose()["services"][url.hostname]
    assert str(url.port) in qdrant["expose"]
    assert set(qdrant["networks"]) <= set(compose()["services"]["api"]["networks"])
    other = env_example() | {"QDRANT_URL": "https://cluster.example.org:6333"}
    assert load_config(environment_of_the_api(other)).QDRANT_URL == other["QDRANT_URL"]


def test_worker_fills_the_same_qdrant() -> None:
    services = compose()["services"]
    assert set(services["qdrant"]["networks"]) <= set(services["worker"]["networks"])
    urls = {services[name]["environment"]["QDRANT_URL"] for name in ("api", "worker")}
    assert urls == {"http://qdrant:6333"}


@pytest.mark.parametrize("key", ["", "letters-and-digits-1"])
def test_key_of_qdrant_is_one_line_for_both_sides_and_an_empty_one_is_none(key: str) -> None:
    environ = env_example() | {"QDRANT_API_KEY": key}
    config = load_config(environment_of_the_api(environ))
    assert config.QDRANT_API_KEY == environment_of_qdrant(environ).get("QDRANT__SERVICE__API_KEY")
    assert config.QDRANT_API_KEY == (key or None)


def test_docker_waits_longer_than_gunicorn_needs_to_stop() -> None:
    match = re.search(r"(?m)^graceful_timeout = (\d+)$", (ROOT / "gunicorn.conf.py").read_text())
    assert match is not None
    assert int(compose()["services"]["api"]["stop_grace_period"].removesuffix("s")) > int(match[1])


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_qdrant_is_healthy_when_it_says_so(
    answering: Callable[[int], int], status: int, healthy: bool
) -> None:
    kind, *command = compose()["services"]["qdrant"]["healthcheck"]["test"]
    assert (kind, command[0]) == ("CMD", "bash")
    port = answering(status)
    command[-1] = command[-1].replace("/6333", f"/{port}")
    assert (subprocess.run(command, timeout=30).returncode == 0) is healthy


def test_fresh_clone_without_an_env_file_starts_and_needs_no_setting() -> None:
    for service in compose()["services"].values():
        for file in service.get("env_file", []):
            assert file == {"path": ".env", "required": False}
    config = load_config(
        {
            name: value
            for name, value in environment_of_the_api({}).items()
            if name in Config.model_fields
        }
    )
    assert (config.ENVIRONMENT, config.API_HOST) == ("development", "0.0.0.0")
