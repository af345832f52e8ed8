"""Who follows a how-to guide gets what it promises: its tests pass in a tree that it changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.guides import (
    FOLDER,
    GuideError,
    checks_of,
    copy_tree,
    follow,
    guide,
    patched,
    steps_of,
)

# Guides that are followed here, all in one copy of the tree, since a start of pytest takes seconds.
GUIDES = [
    "add-a-command",
    "add-a-filter",
    "add-a-grouping-matcher",
    "add-a-metric",
    "add-a-migration",
    "add-a-page",
    "add-a-scrub-rule",
    "add-a-setting",
    "add-an-api-route",
    "add-an-issue-list-column",
    "add-an-item-type",
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of all tests that the guides name, in a tree where all were followed."""
    tree = tmp_path_factory.mktemp("guides")
    copy_tree(tree)
    for name in GUIDES:
        follow(guide(name), tree)
    paths = sorted({path for name in GUIDES for path in checks_of(guide(name))})
    # A copy of a PostgreSQL database for each test takes longer than all of them on SQLite.
    options = ["-q", "-rA", "-p", "no:cacheprovider", "-k", "not postgresql"]
    command = [sys.executable, "-m", "pytest", *options, *paths]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=600)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", GUIDES)
def test_who_follows_a_guide_gets_what_it_promises(name: str, outcomes: str) -> None:
    for path in checks_of(guide(name)):
        assert re.search(rf"^PASSED {path}\b", outcomes, re.M), outcomes[-8000:]
        assert not re.search(rf"^(?:FAILED|ERROR) {path}\b", outcomes, re.M), outcomes[-8000:]


@pytest.mark.parametrize("name", GUIDES)
def test_a_guide_brings_a_test_of_its_own(name: str) -> None:
    new = {step.path for step in steps_of(guide(name)) if step.is_new}
    assert new & set(checks_of(guide(name)))


def test_a_filter_is_one_python_file_and_one_template() -> None:
    changed = [step.path for step in steps_of(guide("add-a-filter")) if not step.is_new]
    assert changed == ["app/issues/feedback.py", "templates/feedback.html"]


@pytest.mark.parametrize("page", sorted(FOLDER.glob("add-*.md")), ids=lambda page: page.stem)
def test_every_guide_is_in_the_list(page: Path) -> None:
    assert f"({page.name})" in (FOLDER / "README.md").read_text()


def test_diff_that_does_not_fit_is_refused() -> None:
    with pytest.raises(GuideError, match="0 places"):
        patched("a\nb\n", " c\n+d\n", "x")
    with pytest.raises(GuideError, match="2 places"):
        patched("a\na\n", " a\n+d\n", "x")
    assert patched("ab c\nb\n", " ab…\n+x\n@@\n-b\n", "x") == "ab c\nx\n"
