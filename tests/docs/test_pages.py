"""What the documentation names exists: links, files, commands, settings, routes."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import click
import pytest
from flask import Flask

from app import create_app
from config import ROOT, SECRET_NAMES, Config, load_config
from tests.docs.pages import PAGES, anchors_of, name_of, prose_of

LINK = re.compile(r"\]\(([^()\s]+)\)")
NAMED_FILE = re.compile(
    r"`((?:app|tests|templates|static|migrations|benchmarks|docs|\.ci)/[\w./-]*)`"
)
MODULE = re.compile(r"python -m (benchmarks[\w.]*)")
MAKE = re.compile(r"(?:`|^|\w=\S+ )make ([a-z-]+)", re.M)
FLASK = re.compile(r"(?:`|^|bin/|api |exec .*? )flask ((?:[a-z][a-z-]+)(?: [a-z][a-z-]+)?)", re.M)
SETTING = re.compile(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)`")
ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8000(/[^\s'\"?>`]*)")
# Of other programs, of the image, of the test suite.
FOREIGN_SETTINGS = {
    *("SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "COMPOSE_PROFILES"),
    *("POSTGRES_PASSWORD", "QDRANT_TEST_URL", "QDRANT_TEST_API_KEY", "TEST_DATABASE_URL"),
}
# Made by the reader of a how-to.
NEW_FILE = re.compile(r"^New file `([^`]+)`", re.M)

# Written with the code that they are about, which comes next.
COMING = {"add-a-filter.md", "add-a-channel.md", "add-an-alert-rule.md"}

every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
# Guides name constants, and what their reader adds; the tests follow them.
every_page_but_guides = pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.name != "how-to"], ids=name_of
)


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(load_config({"ENVIRONMENT": "testing"}), opens_store=False)


@every_page
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors_of(there), f"{target} has no such heading"


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    new = set(NEW_FILE.findall(page.read_text()))
    for path in NAMED_FILE.findall(page.read_text()):
        assert path in new or (ROOT / path).exists(), f"{path} does not exist"


@every_page
def test_every_module_that_is_run_exists(page: Path) -> None:
    for module in MODULE.findall(page.read_text()):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@every_page
def test_every_make_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(MAKE.findall(page.read_text())) <= targets


@every_page_but_guides
def test_every_flask_command_exists(page: Path, app: Flask) -> None:
    for words in FLASK.findall(page.read_text()):
        group, _, name = words.partition(" ")
        command = app.cli.get_command(click.Context(app.cli), group)
        assert command is not None, f"flask {words}"
        if name and isinstance(command, click.Group):
            assert name in command.commands, f"flask {words}"


@every_page_but_guides
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(SETTING.findall(page.read_text()))
    files = {f"{name}_FILE" for name in SECRET_NAMES}
    assert named - FOREIGN_SETTINGS - files <= set(Config.model_fields)


@every_page
def test_every_address_that_is_called_has_a_route(page: Path, app: Flask) -> None:
    routes = app.url_map.bind("127.0.0.1")
    for path in ADDRESS.findall(page.read_text()):
        if re.fullmatch(r"/\d+", path):  # a DSN
            continue
        allowed = routes.allowed_methods(path)
        assert allowed, f"{path} has no route"


@every_page
def test_every_block_of_python_can_be_read(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S):
        ast.parse(block)


@every_page
def test_every_page_is_linked_from_another_one(page: Path) -> None:
    linked = {
        (other.parent / target.partition("#")[0]).resolve()
        for other in PAGES
        if other != page
        for target in LINK.findall(prose_of(other))
        if "://" not in target and not target.startswith("#")
    }
    assert page in linked or page == ROOT / "README.md"


def test_every_command_is_in_the_documentation(app: Flask) -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    context = click.Context(app.cli)
    for group in app.cli.list_commands(context):
        command = app.cli.get_command(context, group)
        assert command is not None
        if command.callback and not (command.callback.__module__ or "").startswith("app."):
            continue  # Flask's own: run, shell, routes
        names = command.commands if isinstance(command, click.Group) else [""]
        for name in names:
            assert f"`flask {group} {name}".rstrip() in text


def test_every_make_target_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "commands.md").read_text()
    for target in re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.M):
        assert target == "help" or f"`make {target}`" in text


def test_every_package_is_on_the_map_with_a_page_that_explains_it() -> None:
    packages = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    assert set(_packages_of_the_map()) == packages


def test_packages_of_the_map_are_in_the_order_of_the_layers() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    levels = {name: level for level, names in enumerate(layers) for name in names.split(" | ")}
    found = [levels[name] for name in _packages_of_the_map()]
    assert found == sorted(found)


def test_every_page_of_a_subsystem_is_linked_from_the_map() -> None:
    pages = {path.name for path in (ROOT / "docs" / "subsystems").iterdir()}
    assert set(re.findall(r"\(subsystems/([\w-]+\.md)", _architecture())) == pages


def test_every_decision_is_in_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = LINK.findall((folder / "README.md").read_text())
    assert set(listed) == {path.name for path in folder.glob("0*.md")}


def _packages_of_the_map() -> list[str]:
    return re.findall(r"^\| `app/(\w+)/` \|.*\(subsystems/", _architecture(), re.M)


def _architecture() -> str:
    return (ROOT / "docs" / "architecture.md").read_text()
