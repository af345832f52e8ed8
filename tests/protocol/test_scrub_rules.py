# ruff: noqa: E501
"""A new kind of secret is one entry: what makes a string worth the look follows from it."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from app.protocol.scrubbing import registry, tokens
from app.protocol.scrubbing.registry import Judge, Rule
from app.protocol.scrubbing.spans import FILTERED, Span

# What is made from the table of rules when it is imported.
_BUILT = ("scrubbing.hints", "scrubbing.rule_set", "scrubbing.strings", "scrub")
_ZEBRA = re.compile(r"zebra[0-9]{4,20}+")


def find(text: str) -> Iterator[Span]:
    for match in _ZEBRA.finditer(text):
        yield match.span()


def find_by_name(text: str, judge: Judge, code: bool) -> Iterator[Span]:
    yield from find(text)


RULES = [
    pytest.param(Rule("zebra", find, anchors=("zebra",)), "see zebra12345 there", id="anchor"),
    pytest.param(Rule("zebra", find, anchors=("-",)), "see - zebra12345", id="rare character"),
    pytest.param(Rule("zebra", find, anchors=("see a long text before: ",)), "see a long text before: zebra12345", id="long anchor"),
    pytest.param(Rule("zebra", find, hints=(re.compile("zeb"),)), "see zebra12345 there", id="hint"),
    pytest.param(Rule("zebra", find, before=re.compile("stripes")), "stripes: zebra12345", id="name before"),
    pytest.param(Rule("zebra", find_by_name=find_by_name, is_named=True), "token: see zebra12345", id="secret name"),
]  # fmt: skip


def scrubber_of_now(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a scrubber whose tables are made from the rules as they are now."""
    for name in _BUILT:
        parent, _, leaf = f"app.protocol.{name}".rpartition(".")
        module = sys.modules[f"app.protocol.{name}"]
        # Whatever is imported meanwhile is forgotten afterwards.
        monkeypatch.setattr(sys.modules[parent], leaf, module)
        monkeypatch.delitem(sys.modules, f"app.protocol.{name}")
    return importlib.import_module("app.protocol.scrub").Scrubber()


@pytest.mark.parametrize(("rule", "text"), RULES)
def test_rule_is_one_entry_in_the_table(
    rule: Rule, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "RULES", (*registry.RULES, rule))
    scrubber = scrubber_of_now(monkeypatch)

    result, findings = scrubber.scrub({"extra": {"note": text}, "frames": [{"context_line": text}]})

    assert "zebra12345" not in str(result)
    assert FILTERED in result["extra"]["note"]
    assert {("extra.note", "zebra"), ("frames[0].context_line", "zebra")} <= {*map(tuple, findings)}


def test_rule_that_is_not_for_source_lines_leaves_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Rule("zebra", find, anchors=("zebra",), in_code=False)
    monkeypatch.setattr(registry, "RULES", (*registry.RULES, rule))
    event = {"message": "zebra12345", "frames": [{"context_line": "zebra12345"}]}

    result, _ = scrubber_of_now(monkeypatch).scrub(event)

    assert result == {"message": FILTERED, "frames": [{"context_line": "zebra12345"}]}


def test_key_of_a_service_is_one_entry_among_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.Token("zebra", _ZEBRA)
    monkeypatch.setattr(tokens, "TOKENS", (*tokens.TOKENS, token))
    with monkeypatch.context() as patched:
        patched.setattr(sys.modules["app.protocol.scrubbing"], "registry", registry)
        patched.delitem(sys.modules, "app.protocol.scrubbing.registry")
        scrubber = scrubber_of_now(patched)

        assert scrubber.scrub_text("see zebra12345 there") == f"see {FILTERED} there"


def test_rules_of_a_test_are_gone_behind_it() -> None:
    assert sys.modules["app.protocol.scrubbing.registry"] is registry
    assert (
        importlib.import_module("app.protocol.scrub").Scrubber().scrub_text("zebra12345")
        == "zebra12345"
    )
