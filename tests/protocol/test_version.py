"""Versions: which of two names is the newer release, and where the names do not tell."""

from __future__ import annotations

import itertools

import pytest

from app.protocol.version import compare, parse_version

# Each line from the oldest to the newest.
LINES = [
    "nav@2.1.0 nav@10.18.6 nav@10.18.7 nav@10.24.0 nav@11.0.0",
    "1.2.3-alpha 1.2.3-alpha.1 1.2.3-beta.2 1.2.3-beta.11 1.2.3-rc.1 1.2.3 1.2.4",
    "1.0a1 1.0b2 1.0rc2 1.0rc10 1.0 1.0.post1 1.0.post2 1.0.1",
    "1.2.3 1.2.3-2-g0abc123 1.2.3-14-gabc1234 1.2.4",
    "com.shop.app@3.1.0+99 com.shop.app@3.1.0+100 com.shop.app@3.1.0+1000 com.shop.app@3.1.1+1",
    "app@1.2.3.4 app@1.2.3.10 app@1.2.10.0",
    "2025.12.31 2026.1.2 2026-11-27 2026.11.27-1 2026.11.27-2 20261128 2026.12",
    "20261127.1 20261127.2 20261128.1",
    "24.04 24.10 25.04",
    "my-shop-v1.9.0 my-shop-v1.10.0",
    "@scope/shop@0.9.9 @scope/shop@0.10.0",
    "v9.9 v10.0",
]


@pytest.mark.parametrize("line", LINES)
def test_versions_of_one_package_are_in_order(line: str) -> None:
    versions = [parse_version(name) for name in line.split()]
    for (n, one), (m, other) in itertools.combinations_with_replacement(enumerate(versions), 2):
        assert one is not None and other is not None
        assert compare(one, other) == (0 if n == m else -1)
        assert compare(other, one) == (0 if n == m else 1)


@pytest.mark.parametrize(
    ("one", "other"), [("1.2", "1.2.0"), ("v1.2.3", "1.2.3"), ("shop@2026-11-27", "shop@20261127")]
)
def test_one_version_in_two_notations_is_the_same(one: str, other: str) -> None:
    first, second = parse_version(one), parse_version(other)
    assert first is not None and second is not None and compare(first, second) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ios@1.0.0", "android@2.0.0"),
        ("shop@1.0.0", "1.0.1"),
        ("shop@3.0.0", "shop@2026.11.27"),
        ("1.2.3+abc", "1.2.3+def"),
        ("1.2.3+7", "1.2.3"),
    ],
)
def test_names_that_do_not_tell_are_not_compared(one: str, other: str) -> None:
    first, second = parse_version(one), parse_version(other)
    assert first is not None and second is not None and compare(first, second) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0abc123",
        "1234567",
        "shop@42",
        "shop@8f3a1c0d9e7b",
        "main",
        "shop@",
        "1",
        "1.2.3 (beta)",
    ],
)
def test_hash_counter_or_word_is_no_version(name: str) -> None:
    assert parse_version(name) is None
