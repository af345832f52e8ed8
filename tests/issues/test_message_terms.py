"""What a message says: without a logger's prefix, in words, with the names that it quotes."""

from __future__ import annotations

import pytest

from app.issues.message_terms import lines_of, split_type, words_of


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("2026-11-24 10:00:00,123 ERROR [main] shop.pay - card refused", "card refused"),
        ("[2026-11-24T10:00:00Z] [412] [ERROR] card refused", "card refused"),
        ("2026-11-24 10:00:00 | CRITICAL | web-3 | 4f3a9c21b7d0 - card refused", "card refused"),
        ("E1124 10:00:00.000001 1 cards.go:125] card refused", "card refused"),
        ("<11>Nov 24 03:14:15 web-1 shop[212]: card refused", "card refused"),
        ("req=4f3a user=ann card refused", "card refused"),
        ("ERROR:root:card refused", "root:card refused"),
        ("Warning: card refused", "card refused"),
        # Not of a logger.
        ("ERROR in checkout: card refused", "ERROR in checkout: card refused"),
        ("debug in production is on", "debug in production is on"),
        ("CRITICAL", "CRITICAL"),
        ("404", "404"),
        ('level=error msg="card refused"', 'msg="card refused"'),
        ("(psycopg.errors.UniqueViolation) key", "(psycopg.errors.UniqueViolation) key"),
    ],
)
def test_what_a_logger_put_before_a_message_is_left_out(line: str, rest: str) -> None:
    assert lines_of(line) == [rest]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("'price'", "'price'"),
        ("Cannot read properties of undefined (reading 'map')", "cannot read … 'map'"),
        ('relation "orders" does not exist', "relation does not exist 'orders'"),
        ("order 17 of 4f3a9c21b7d0 for ann@shop.example at 10.0.0.7:5432", "order"),
        ("invalid literal for int() with base 10: '12,50'", "invalid literal int base"),
        ("open '/srv/app/releases/17/conf/shop.yaml'", "open /shop.yaml"),
        ("GET https://pay.example:8443/v1/charges/8812 failed", "get failed /pay.example /charges"),
        ("HikariPool-17 - timed out after 30001ms.", "hikaripool timed out after"),
        ("", ""),
        ("12:30 … !!", ""),
    ],
)
def test_words_stay_and_what_changes_goes(line: str, words: str) -> None:
    found = words_of(line)
    if "…" in words:
        assert found[:2] == words.split()[:2] and found[-1] == words.split()[-1]
    else:
        assert found == words.split()


@pytest.mark.parametrize(
    ("line", "split"),
    [
        ("ValueError: no price", ("ValueError", "no price")),
        (
            "Uncaught (in promise) TypeError: x is not a function",
            ("TypeError", "x is not a function"),
        ),
        ("java.io.IOException", ("java.io.IOException", "")),
        ("Error while saving", ("", "Error while saving")),
        ("Timeouts: many", ("", "Timeouts: many")),
    ],
)
def test_type_at_the_beginning_of_a_line_is_told_apart(line: str, split: tuple[str, str]) -> None:
    assert split_type(line) == split
